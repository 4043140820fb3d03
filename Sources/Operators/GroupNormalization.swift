import Autograd
import TensorCore

extension Op {
    /// y = (x - mean) / √(variance + epsilon) · scale + bias, with the statistics of every group of channels of every image.
    ///
    /// x: `[N, C, ...]`; scale, bias: `[C]`, before operator set 21 `[groups]`. ONNX GroupNormalization 18...;
    /// `torch.nn.functional.group_norm`.
    public struct GroupNormalization: CompositeOperator {
        public static let opType = "GroupNormalization"
        public static var maximumInputs: Int { 3 }
        public static var parameterInputs: [Int: String] { [1: "weight", 2: "bias"] }
        public static let opsets = 18...OperatorSet.newest
        let groups: Int
        let epsilon: Double
        /// scale and bias have one number per group.
        let isPerGroup: Bool

        public init(groups: Int, epsilon: Double = 1e-5) {
            self.groups = groups
            self.epsilon = epsilon
            isPerGroup = false
        }

        public init(_ node: NodeAttributes) throws {
            guard let groups = try node.int("num_groups") else { throw node.unsupported("num_groups", "is missing") }
            self.groups = groups
            epsilon = try node.float("epsilon", default: 1e-5)
            isPerGroup = node.opset < 21
        }

        private func check(_ x: [Int], _ scale: [Int], _ bias: [Int]) throws {
            guard x.count >= 2, groups > 0, x[1] % groups == 0 else {
                throw failure("expected x [N, C, ...] with C a multiple of \(groups) groups, got \(x)")
            }
            let expected = [isPerGroup ? groups : x[1]]
            guard scale == expected, bias == expected else {
                throw failure("expected scale and bias \(expected), got \(scale) and \(bias)")
            }
        }

        public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation { batch.rows(output: output) }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] {
            let x = try required(inputs, 0, "X")
            try check(x.shape, required(inputs, 1, "scale").shape, required(inputs, 2, "bias").shape)
            return [ValueInfo(x.dtype, x.shape)]
        }

        public func expand(_ inputs: [Tensor?]) throws -> [Tensor] {
            let x = try required(inputs, 0, "X")
            let (scale, bias) = (try required(inputs, 1, "scale"), try required(inputs, 2, "bias"))
            try check(x.shape, scale.shape, bias.shape)
            let normalized = try normalizedByGroups(x, groups: groups, epsilon: epsilon)
            let factor = try perChannel(scale, x.shape[1])
            return [try apply(ChannelAffine(), normalized, factor, perChannel(bias, x.shape[1]))]
        }

        /// One number per channel from one per group.
        private func perChannel(_ values: Tensor, _ channels: Int) throws -> Tensor {
            guard isPerGroup else { return values }
            let column = try values.reshaped([groups, 1])
            return try apply(BroadcastTo(target: [groups, channels / groups]), column).reshaped([channels])
        }

        public static func samples() throws -> [OperatorSample] {
            func sample(_ name: String, _ op: Op.GroupNormalization, _ x: [Int]) -> OperatorSample {
                let count = op.isPerGroup ? op.groups : x[1]
                let inputs = [
                    OperatorSample.values(x), OperatorSample.values([count], seed: 1),
                    OperatorSample.values([count], seed: 2),
                ]
                return OperatorSample(name, op, inputs, differentiable: [0, 1, 2])
            }
            let old = NodeAttributes(opType: opType, opset: 18, ["num_groups": .int(2), "epsilon": .float(0.1)])
            return [
                sample("groups", Op.GroupNormalization(groups: 2), [2, 4, 2, 2]),
                sample("one group", Op.GroupNormalization(groups: 1), [2, 3]),
                sample("opset 18", try Op.GroupNormalization(old), [1, 4, 3]),
            ]
        }
    }
}

/// Normalises every group of channels of every image of x: `[N, C, ...]`; weight, bias: `[C]`.
///
/// Source: `torch.nn.functional.group_norm`.
public func groupNorm(
    _ x: Tensor, groups: Int, weight: Tensor? = nil, bias: Tensor? = nil, epsilon: Double = 1e-5
) throws -> Tensor {
    guard x.rank >= 2, groups > 0, x.shape[1] % groups == 0 else {
        throw ShapeError("groupNorm", "expected [N, C, ...] with C a multiple of \(groups) groups, got \(x.shape)")
    }
    return try apply(ChannelAffine(), normalizedByGroups(x, groups: groups, epsilon: epsilon), weight, bias)
}
