import Autograd
import TensorCore

extension Op {
    /// Running sums along an axis, without the element itself when `exclusive`, from the end when `reverse`.
    ///
    /// ONNX CumSum 11...; `torch.cumsum`.
    public struct CumSum: CompositeOperator {
        public static let opType = "CumSum"
        public static var maximumInputs: Int { 2 }
        public static let opsets = 11...OperatorSet.newest
        let isExclusive: Bool
        let isReverse: Bool

        public init(exclusive: Bool = false, reverse: Bool = false) {
            isExclusive = exclusive
            isReverse = reverse
        }

        public init(_ node: NodeAttributes) throws {
            isExclusive = try node.bool("exclusive", default: false)
            isReverse = try node.bool("reverse", default: false)
        }

        public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation {
            let rank = batch.outputs[output].count
            guard let given = batch.operand(1)?.value, let axis = try? axis(integer(given, "axis"), rank: rank) else {
                return batch.unknown
            }
            return batch.along(touching: [axis])
        }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] {
            let x = try required(inputs, 0, "x")
            return [ValueInfo(x.dtype, x.shape)]
        }

        public func expand(_ inputs: [Tensor?]) throws -> [Tensor] {
            let x = try required(inputs, 0, "x")
            let given = try required(inputs, 1, "axis").array
            let axis = try axis(integer(given, "axis"), rank: x.rank)
            return [try x.mapped(RunningSum(axis: axis, isExclusive: isExclusive, isReverse: isReverse))]
        }

        public static func samples() throws -> [OperatorSample] {
            let x = OperatorSample.values([2, 3])
            let axis = NDArray(scalar: -1)
            return [
                OperatorSample("forward", Op.CumSum(), [x, NDArray(scalar: 0)], differentiable: [0]),
                OperatorSample("exclusive", Op.CumSum(exclusive: true), [x, axis], differentiable: [0]),
                OperatorSample("reverse", Op.CumSum(reverse: true), [x, axis], differentiable: [0]),
                OperatorSample("both", Op.CumSum(exclusive: true, reverse: true), [x, axis], differentiable: [0]),
            ]
        }
    }
}

private struct RunningSum: LinearMap {
    let axis: Int
    let isExclusive: Bool
    var isReverse: Bool
    var name: String { "Cumsum" }

    func apply(_ x: NDArray) throws -> NDArray {
        try x.cumulativeSum(axis: axis, exclusive: isExclusive, reverse: isReverse)
    }

    func applyAdjoint(_ gradOutput: NDArray, inputShape: [Int]) throws -> NDArray {
        try RunningSum(axis: axis, isExclusive: isExclusive, isReverse: !isReverse).apply(gradOutput)
    }
}

extension Tensor {
    /// Running sums along `dim`. Source: `torch.cumsum`.
    public func cumsum(dim: Int) -> Tensor {
        checked(try mapped(RunningSum(axis: normalized([dim], "cumsum")[0], isExclusive: false, isReverse: false)))
    }
}
