import Autograd
import TensorCore

extension Op {
    /// y = (x − mean) / (√variance + 1e-9), with the statistics over `axes`.
    ///
    /// The axes are by default all but the channels of `[N, C, H, W]`. Before operator set 9 there are none: the statistics are
    /// those of every channel of every image, of every image with `across_channels`, and the variance is divided by unless
    /// `normalize_variance` is 0. ONNX MeanVarianceNormalization 1...
    public struct MeanVarianceNormalization: CompositeOperator {
        public static let opType = "MeanVarianceNormalization"
        let axes: [Int]
        let normalizesVariance: Bool

        public init(axes: [Int] = [0, 2, 3]) {
            self.axes = axes
            normalizesVariance = true
        }

        public init(_ node: NodeAttributes) throws {
            let isOld = node.opset < 9
            normalizesVariance = isOld ? try node.bool("normalize_variance", default: true) : true
            let isAcross = isOld ? try node.bool("across_channels", default: false) : false
            axes = isOld ? (isAcross ? [1, 2, 3] : [2, 3]) : try node.ints("axes") ?? [0, 2, 3]
        }

        private func reduced(_ rank: Int) throws -> [Int] {
            let result = Set(try axes.map { try axis($0, rank: rank) }).sorted()
            guard result.count == axes.count else { throw failure("axes \(axes) name an axis twice") }
            return result
        }

        public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation {
            guard let axes = try? reduced(batch.operand(0)?.shape.count ?? 0) else { return batch.unknown }
            return batch.along(touching: axes)
        }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] {
            let x = try required(inputs, 0, "X")
            _ = try reduced(x.shape.count)
            return [ValueInfo(x.dtype, x.shape)]
        }

        public func expand(_ inputs: [Tensor?]) throws -> [Tensor] {
            let x = try required(inputs, 0, "X")
            try checkNormalized(x)
            let axes = try reduced(x.rank)
            let centered = try x - x.averaged(over: axes, keepDims: true)
            if !normalizesVariance { return [centered] }
            let variance = try centered.square().averaged(over: axes, keepDims: true)
            return [centered / (variance.sqrt() + 1e-9)]
        }

        public static func samples() throws -> [OperatorSample] {
            let x = OperatorSample.values([2, 2, 2, 2])
            func old(_ values: [String: AttributeValue]) throws -> Op.MeanVarianceNormalization {
                try Op.MeanVarianceNormalization(NodeAttributes(opType: opType, opset: 1, values))
            }
            return [
                OperatorSample("channels", Op.MeanVarianceNormalization(), [x], differentiable: [0]),
                OperatorSample("last", Op.MeanVarianceNormalization(axes: [-1, 1]), [x], differentiable: [0]),
                OperatorSample("opset 1", try old([:]), [x], differentiable: [0]),
                OperatorSample(
                    "opset 1 mean", try old(["across_channels": .int(1), "normalize_variance": .int(0)]), [x],
                    differentiable: [0]),
            ]
        }
    }
}
