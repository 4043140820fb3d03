import Autograd
import TensorCore

extension Op {
    /// y = (x - mean) / √(variance + epsilon) · scale + bias, with the statistics of every channel of every image.
    ///
    /// x: `[N, C, ...]`; scale, bias: `[C]`. ONNX InstanceNormalization 1...; `torch.nn.functional.instance_norm`.
    public struct InstanceNormalization: CompositeOperator {
        public static let opType = "InstanceNormalization"
        public static var maximumInputs: Int { 3 }
        public static var parameterInputs: [Int: String] { [1: "weight", 2: "bias"] }
        let epsilon: Double

        public init(epsilon: Double = 1e-5) { self.epsilon = epsilon }
        public init(_ node: NodeAttributes) throws { self.init(epsilon: try node.float("epsilon", default: 1e-5)) }

        private func check(_ x: [Int], _ scale: [Int], _ bias: [Int]) throws {
            guard x.count > 2, !x.dropFirst(2).contains(0), scale == [x[1]], bias == [x[1]] else {
                throw failure("expected x [N, C, ...], scale [C] and B [C], got \(x), \(scale) and \(bias)")
            }
        }

        public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation { batch.rows(output: output) }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] {
            let x = try required(inputs, 0, "input")
            try check(x.shape, required(inputs, 1, "scale").shape, required(inputs, 2, "B").shape)
            return [ValueInfo(x.dtype, x.shape)]
        }

        public func expand(_ inputs: [Tensor?]) throws -> [Tensor] {
            let x = try required(inputs, 0, "input")
            let (scale, bias) = (try required(inputs, 1, "scale"), try required(inputs, 2, "B"))
            try check(x.shape, scale.shape, bias.shape)
            let normalized = try normalizedByGroups(x, groups: x.shape[1], epsilon: epsilon)
            return [try apply(ChannelAffine(), normalized, scale, bias)]
        }

        public static func samples() throws -> [OperatorSample] {
            func sample(_ name: String, _ op: Op.InstanceNormalization, _ x: [Int]) -> OperatorSample {
                let inputs = [
                    OperatorSample.values(x), OperatorSample.values([x[1]], seed: 1),
                    OperatorSample.values([x[1]], seed: 2),
                ]
                return OperatorSample(name, op, inputs, differentiable: [0, 1, 2])
            }
            return [
                sample("2-D", Op.InstanceNormalization(), [2, 2, 2, 3]),
                sample("1-D", Op.InstanceNormalization(epsilon: 0.1), [2, 3, 4]),
            ]
        }
    }
}

/// x: `[N, C, ...]` with mean 0 and variance 1 within each of `groups` groups of channels of every image.
func normalizedByGroups(_ x: Tensor, groups: Int, epsilon: Double) throws -> Tensor {
    let count = x.shape[0] * groups
    if x.count == 0 { return x }
    // Every group of every image as a channel of one image.
    let channels = try x.reshaped([1, count, x.count / count])
    let (one, zero) = (NDArray.ones([count], dtype: x.dtype), NDArray.zeros([count], dtype: x.dtype))
    return try apply(BatchNormTraining(epsilon: epsilon), [channels, Tensor(one), Tensor(zero)])[0].reshaped(x.shape)
}
