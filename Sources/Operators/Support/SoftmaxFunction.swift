import Autograd
import TensorCore

/// Softmax along an axis, or its logarithm.
struct SoftmaxFunction: DifferentiableFunction {
    /// Counted from the front.
    let axis: Int
    let logarithm: Bool
    var name: String { logarithm ? "LogSoftmax" : "Softmax" }

    func forward(_ inputs: [NDArray?]) throws -> [NDArray] {
        try inputs.compactMap { try $0?.softmax(axis: axis, log: logarithm) }
    }

    func saved(for needs: IndexSet64) -> SavedValues { SavedValues(outputs: 0) }

    func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
        guard let g = gradOutputs[0] else { return [nil] }
        let y = try context.output(0)
        if !GradMode.isEnabled {
            let fused = try NDArray.softmaxGradient(output: y.array, gradOutput: g.array, axis: axis, log: logarithm)
            return [Tensor(fused)]
        }
        var sums = y.shape
        sums[axis] = 1
        if logarithm { return [try g - y.exp() * g.summed(to: sums)] }
        return [try y * (g - (g * y).summed(to: sums))]
    }
}

/// What Softmax and LogSoftmax have in common: which axes the probabilities run over.
///
/// Since operator set 13 it is one axis, by default the last. Before it is `axis`, by default 1, with all axes behind it.
struct SoftmaxAxis: Sendable {
    let axis: Int
    let isFlattened: Bool

    init(axis: Int, isFlattened: Bool = false) {
        self.axis = axis
        self.isFlattened = isFlattened
    }

    init(_ node: NodeAttributes) throws {
        isFlattened = node.opset < 13
        axis = try node.int("axis", default: isFlattened ? 1 : -1)
    }

    /// The axes that a distribution runs over.
    func touched(rank: Int) -> [Int] {
        let start = max(axis < 0 ? axis + rank : axis, 0)
        return isFlattened ? Array(min(start, rank)..<rank) : [start]
    }

    /// The shape under which the probabilities of an array of `shape` run over one axis, and that axis.
    func split(_ shape: [Int], _ operation: String) throws -> (shape: [Int], axis: Int) {
        // Every number is a distribution of its own when nothing lies behind the axis.
        let end = isFlattened ? shape.count : shape.count - 1
        let start = axis < 0 ? axis + shape.count : axis
        guard start >= 0, start <= max(end, 0) else {
            throw ShapeError(operation, "axis \(axis) is outside of a shape of \(shape.count) axes")
        }
        guard shape.isEmpty || isFlattened else { return (shape, start) }
        guard checkedElementCount(shape) != nil else { throw ShapeError(operation, "shape \(shape) is too large") }
        return ([shape[..<start].reduce(1, *), shape[start...].reduce(1, *)], 1)
    }

    func apply(to x: Tensor, logarithm: Bool, _ operation: String) throws -> Tensor {
        let (shape, axis) = try split(x.shape, operation)
        let function = SoftmaxFunction(axis: axis, logarithm: logarithm)
        return try Autograd.apply(function, x.reshaped(shape)).reshaped(x.shape)
    }

    static func samples<T: Operator>(_ make: (SoftmaxAxis) -> T, opType: String) throws -> [OperatorSample] {
        let x = OperatorSample.values([2, 3, 2])
        return [
            OperatorSample("last", make(SoftmaxAxis(axis: -1)), [x], differentiable: [0]),
            OperatorSample("channels", make(SoftmaxAxis(axis: 1)), [x], differentiable: [0]),
            OperatorSample(
                "opset 11", try T(NodeAttributes(opType: opType, opset: 11)), [x], differentiable: [0]),
            OperatorSample(
                "empty", make(SoftmaxAxis(axis: 1)), [.zeros([0, 3], dtype: .float64)], differentiable: [0]),
        ]
    }
}
