import Autograd
import TensorCore

extension Op {
    /// y = x / √(mean(x²) + ε) · scale over the axes from `axis` on: what ONNX Runtime's optimiser calls `RMSNormalization` in
    /// ONNX's default domain.
    ///
    /// The inverse root of the mean is an optional second output. Source: ONNX Runtime, SimplifiedLayerNormalization 1.
    public struct SimplifiedLayerNormalization: CompositeOperator {
        public static let opType = "SimplifiedLayerNormalization"
        public static var maximumInputs: Int { 2 }
        public static var maximumOutputs: Int { 2 }
        public static var parameterInputs: [Int: String] { [1: "weight"] }
        let axis: Int
        let epsilon: Double
        let outputCount: Int

        public init(axis: Int = -1, epsilon: Double = 1e-5, outputCount: Int = 1) {
            self.axis = axis
            self.epsilon = epsilon
            self.outputCount = outputCount
        }

        public init(_ node: NodeAttributes) throws {
            self.init(
                axis: try node.int("axis", default: -1), epsilon: try node.float("epsilon", default: 1e-5),
                outputCount: node.outputCount)
        }

        public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation {
            let rank = batch.operand(0)?.shape.count ?? 0
            guard let axis = try? axis(axis, rank: rank) else { return batch.unknown }
            return batch.along(touching: Array(axis..<rank), output: output)
        }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] {
            let x = try required(inputs, 0, "X")
            let axes = Array(try axis(axis, rank: x.shape.count)..<x.shape.count)
            let statistics = ValueInfo(x.dtype, reducedShape(x.shape, axes, keepDims: true))
            return Array([ValueInfo(x.dtype, x.shape), statistics].prefix(outputCount))
        }

        public func expand(_ inputs: [Tensor?]) throws -> [Tensor] {
            let x = try required(inputs, 0, "X")
            let scale = try required(inputs, 1, "scale")
            try checkNormalized(x, by: scale)
            let axes = Array(try axis(axis, rank: x.rank)..<x.rank)
            let root = try (x.square().averaged(over: axes, keepDims: true) + epsilon).sqrt()
            return Array([x / root * scale, 1 / root].prefix(outputCount))
        }

        public static func samples() throws -> [OperatorSample] {
            let x = OperatorSample.values([2, 3, 4])
            let scale = OperatorSample.values([4], in: 0.5...2)
            return [
                OperatorSample("last axis", Op.SimplifiedLayerNormalization(), [x, scale], differentiable: [0, 1]),
                OperatorSample(
                    "statistics", Op.SimplifiedLayerNormalization(axis: 1, epsilon: 0.1, outputCount: 2), [x, scale],
                    differentiable: [0, 1]),
            ]
        }
    }
}
