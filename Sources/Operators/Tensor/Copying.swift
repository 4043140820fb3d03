import Autograd
import TensorCore

/// The same values in a tensor of their own.
private struct Clone: DifferentiableFunction {
    var name: String { "Clone" }
    func forward(_ inputs: [NDArray?]) throws -> [NDArray] { inputs.compactMap { $0 } }
    func saved(for needs: IndexSet64) -> SavedValues { .none }
    func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] { gradOutputs }
}

extension Tensor {
    /// A tensor with the same values that in-place changes of this one do not reach; recorded. Source: `Tensor.clone`.
    public func clone() -> Tensor { checked(try apply(Clone(), self)) }
}

/// Tensors of one shape along a new axis `dim`. Source: `torch.stack`.
public func stack(_ tensors: [Tensor], dim: Int = 0) -> Tensor {
    let shapes = Set(tensors.map(\.shape))
    demand(shapes.count == 1, "stack: expected tensors of one shape, got \(shapes)")
    return cat(tensors.map { $0.unsqueeze(dim) }, dim: dim < 0 ? dim + (tensors.first?.rank ?? 0) + 1 : dim)
}
