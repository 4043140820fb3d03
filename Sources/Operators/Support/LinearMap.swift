import Autograd
import TensorCore

/// A linear function of one array that moves, repeats, drops or adds up elements, with its adjoint: each is the gradient
/// of the other, so that derivatives of any order follow from the two.
protocol LinearMap: Sendable {
    /// PyTorch's name for the recorded operation, `"Slice"`.
    var name: String { get }
    func apply(_ x: NDArray) throws -> NDArray
    /// The gradient of an input of `inputShape` from the gradient of `apply`'s result.
    func applyAdjoint(_ gradOutput: NDArray, inputShape: [Int]) throws -> NDArray
}

/// A linear map as a recorded operation.
struct Mapped<Map: LinearMap>: DifferentiableFunction {
    let map: Map
    var name: String { map.name }

    init(_ map: Map) { self.map = map }

    func forward(_ inputs: [NDArray?]) throws -> [NDArray] { try inputs.compactMap { try $0.map(map.apply) } }
    func saved(for needs: IndexSet64) -> SavedValues { .none }
    func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
        [try gradOutputs[0].map { try Autograd.apply(Adjoint(map: map, inputShape: context.inputShape(0)), $0) }]
    }
}

/// The adjoint of a linear map as a recorded operation.
struct Adjoint<Map: LinearMap>: DifferentiableFunction {
    let map: Map
    let inputShape: [Int]
    var name: String { "\(map.name)Backward" }

    func forward(_ inputs: [NDArray?]) throws -> [NDArray] {
        try inputs.compactMap { try $0.map { try map.applyAdjoint($0, inputShape: inputShape) } }
    }
    func saved(for needs: IndexSet64) -> SavedValues { .none }
    func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
        [try gradOutputs[0].map { try Autograd.apply(Mapped(map), $0) }]
    }
}

extension Tensor {
    func mapped(_ map: some LinearMap) throws -> Tensor { try apply(Mapped(map), self) }
}
