import Autograd
import TensorCore

extension Op {
    /// y = x / √(mean(x²) + ε) · scale over the axes from `axis` on. ONNX RMSNormalization 23...;
    /// `torch.nn.functional.rms_norm`.
    public struct RMSNormalization: CompositeOperator {
        public static let opType = "RMSNormalization"
        public static var maximumInputs: Int { 2 }
        public static let opsets = 23...OperatorSet.newest
        let axis: Int
        let epsilon: Double

        public init(axis: Int = -1, epsilon: Double = 1e-5) {
            self.axis = axis
            self.epsilon = epsilon
        }

        public init(_ node: NodeAttributes) throws {
            axis = try node.int("axis", default: -1)
            epsilon = try node.float("epsilon", default: 1e-5)
        }

        public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation {
            let rank = batch.operand(0)?.shape.count ?? 0
            guard let axis = try? axis(axis, rank: rank) else { return batch.unknown }
            return batch.along(touching: Array(axis..<rank), output: output)
        }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] {
            let x = try required(inputs, 0, "X")
            _ = try axis(axis, rank: x.shape.count)
            return [ValueInfo(x.dtype, x.shape)]
        }

        public func expand(_ inputs: [Tensor?]) throws -> [Tensor] {
            let x = try required(inputs, 0, "X")
            let scale = try required(inputs, 1, "scale")
            try checkNormalized(x, by: scale)
            let axes = Array(try axis(axis, rank: x.rank)..<x.rank)
            let power = try x.square().averaged(over: axes, keepDims: true)
            return [x / (power + epsilon).sqrt() * scale]
        }

        public static func samples() throws -> [OperatorSample] {
            let x = OperatorSample.values([2, 3, 4])
            let wide = OperatorSample.values([3, 4], in: 0.5...2)
            return [
                OperatorSample("last axis", Op.RMSNormalization(), [x, wide.rows(0..<1)], differentiable: [0, 1]),
                OperatorSample(
                    "two axes", Op.RMSNormalization(axis: 1, epsilon: 0.1), [x, wide], differentiable: [0, 1]),
            ]
        }
    }
}
