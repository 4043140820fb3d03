import Autograd
import TensorCore

extension Op {
    /// Cross entropy between scores and labels. ONNX SoftmaxCrossEntropyLoss 12...; `torch.nn.functional.cross_entropy`.
    ///
    /// scores: `[N, C, ...]`, labels: integers `[N, ...]`, weights: `[C]` or omitted; the loss is a scalar, or `[N, ...]`
    /// without reduction. The optional second output has the log-probabilities.
    public struct SoftmaxCrossEntropyLoss: CompositeOperator {
        public static let opType = "SoftmaxCrossEntropyLoss"
        public static var maximumInputs: Int { 3 }
        public static var maximumOutputs: Int { 2 }
        public static let opsets = 12...OperatorSet.newest
        let reduction: Reduction
        let ignoreIndex: Int?
        let hasLogProbabilities: Bool

        public init(reduction: Reduction = .mean, ignoreIndex: Int? = nil, hasLogProbabilities: Bool = false) {
            self.reduction = reduction
            self.ignoreIndex = ignoreIndex
            self.hasLogProbabilities = hasLogProbabilities
        }

        public init(_ node: NodeAttributes) throws {
            self.init(
                reduction: try Reduction(node), ignoreIndex: try node.int("ignore_index"),
                hasLogProbabilities: node.outputCount > 1)
        }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] {
            let (scores, labels) = (try required(inputs, 0, "scores"), try required(inputs, 1, "labels"))
            let loss = ValueInfo(scores.dtype, try lossShape(scores.shape, labels.shape, reduction))
            return hasLogProbabilities ? [loss, ValueInfo(scores.dtype, scores.shape)] : [loss]
        }

        public func expand(_ inputs: [Tensor?]) throws -> [Tensor] {
            let (scores, labels) = (try required(inputs, 0, "scores"), try required(inputs, 1, "labels"))
            _ = try lossShape(scores.shape, labels.shape, reduction)
            let logProbabilities: Tensor = try apply(SoftmaxFunction(axis: 1, logarithm: true), scores)
            let loss = NllLoss(
                labels: labels.array, weight: optional(inputs, 2)?.array, labelSmoothing: 0, ignoreIndex: ignoreIndex,
                reduction: reduction)
            let value: Tensor = try apply(loss, logProbabilities)
            return hasLogProbabilities ? [value, logProbabilities] : [value]
        }

        public static func samples() throws -> [OperatorSample] {
            lossSamples {
                Op.SoftmaxCrossEntropyLoss(reduction: $0, ignoreIndex: $1, hasLogProbabilities: $1 == 0)
            }
        }
    }
}
