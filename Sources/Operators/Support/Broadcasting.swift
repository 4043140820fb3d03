import Autograd
import TensorCore

/// Elementwise operators of two broadcast operands: `Add`, `Sub`, `Mul`, `Div`, `Pow`, ...
///
/// Before operator set 7 the second operand was stretched only on request, aligned at `axis`; `legacyAxis` holds that.
protocol BroadcastingOperator: Operator {
    var legacyAxis: Int? { get }
}

/// Reads the `broadcast` and `axis` attributes that elementwise operators had before operator set 7.
func legacyBroadcastAxis(_ node: NodeAttributes) throws -> Int? {
    guard node.opset < 7, try node.bool("broadcast", default: false) else { return nil }
    return try node.int("axis")
}

extension BroadcastingOperator {
    public static var maximumInputs: Int { 2 }

    /// The second operand's shape with the trailing ones that `axis` implies.
    func aligned(_ b: [Int], to a: [Int]) throws -> [Int] {
        guard let legacyAxis else { return b }
        let start = try axis(legacyAxis, rank: a.count)
        guard start + b.count <= a.count else {
            throw failure("operand of shape \(b) does not fit into \(a) at axis \(start)")
        }
        return b + [Int](repeating: 1, count: a.count - start - b.count)
    }

    public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation {
        guard legacyAxis != nil, let a = batch.operand(0), let b = batch.operand(1),
            let shape = try? aligned(b.shape, to: a.shape)
        else { return batch.aligned() }
        let second = BatchOperands.Operand(b.relation, shape, value: b.value)
        return BatchOperands(pictures: batch.pictures, inputs: [a, second], outputs: batch.outputs).aligned()
    }

    func aligned(_ inputs: [NDArray?]) throws -> (NDArray, NDArray) {
        let a = try required(inputs, 0, "A")
        let b = try required(inputs, 1, "B")
        return legacyAxis == nil ? (a, b) : (a, b.reshaped(try aligned(b.shape, to: a.shape)))
    }

    func broadcastInfo(_ inputs: [ValueInfo?], dtype: DType? = nil) throws -> [ValueInfo] {
        let a = try required(inputs, 0, "A")
        let b = try required(inputs, 1, "B")
        guard a.dtype == b.dtype else { throw failure("operands have different types, \(a.dtype) and \(b.dtype)") }
        guard let shape = broadcastShape(a.shape, try aligned(b.shape, to: a.shape)) else {
            throw failure("shapes \(a.shape) and \(b.shape) do not broadcast")
        }
        return [ValueInfo(dtype ?? a.dtype, shape)]
    }
}

extension Tensor {
    /// Sums over the axes that broadcasting from `shape` stretched: the adjoint of broadcasting.
    func summed(to shape: [Int]) throws -> Tensor {
        self.shape == shape ? self : try apply(SumToShape(target: shape), self)
    }
}

/// Runs `body`, whose operands the caller vouches for, and stops the program with the error's text when they do not fit.
///
/// Only the operator-like functions of `Tensor` (`+`, `sum()`, ...) use it, where Swift has no place for `throws`.
func checked<R>(_ operation: @autoclosure () throws -> R, file: StaticString = #fileID, line: UInt = #line) -> R {
    do {
        return try operation()
    } catch {
        mistake("\(error)", file: file, line: line)
    }
}

/// `x` summed to a shape that broadcasts to its own.
struct SumToShape: DifferentiableFunction {
    let target: [Int]
    var name: String { "SumToSize" }
    func forward(_ inputs: [NDArray?]) throws -> [NDArray] { try inputs.compactMap { try $0?.sumToShape(target) } }
    func saved(for needs: IndexSet64) -> SavedValues { .none }
    func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
        try [gradOutputs[0].map { try apply(BroadcastTo(target: context.inputShape(0)), $0) }]
    }
}

/// `x` stretched to a larger shape.
struct BroadcastTo: DifferentiableFunction {
    let target: [Int]
    var name: String { "Expand" }
    func forward(_ inputs: [NDArray?]) throws -> [NDArray] { try inputs.compactMap { try $0?.broadcast(to: target) } }
    func saved(for needs: IndexSet64) -> SavedValues { .none }
    func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
        try [gradOutputs[0].map { try apply(SumToShape(target: context.inputShape(0)), $0) }]
    }
}
