import Autograd
import TensorCore

extension Op {
    /// Negative log likelihood of labels. ONNX NegativeLogLikelihoodLoss 12...; `torch.nn.functional.nll_loss`.
    ///
    /// input: log-probabilities `[N, C, ...]`, target: integers `[N, ...]`, weight: `[C]` or omitted; the loss is a scalar,
    /// or `[N, ...]` without reduction.
    public struct NegativeLogLikelihoodLoss: CompositeOperator {
        public static let opType = "NegativeLogLikelihoodLoss"
        public static var maximumInputs: Int { 3 }
        public static let opsets = 12...OperatorSet.newest
        let reduction: Reduction
        let ignoreIndex: Int?

        public init(reduction: Reduction = .mean, ignoreIndex: Int? = nil) {
            self.reduction = reduction
            self.ignoreIndex = ignoreIndex
        }

        public init(_ node: NodeAttributes) throws {
            self.init(reduction: try Reduction(node), ignoreIndex: try node.int("ignore_index"))
        }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] {
            let (x, target) = (try required(inputs, 0, "input"), try required(inputs, 1, "target"))
            return [ValueInfo(x.dtype, try lossShape(x.shape, target.shape, reduction))]
        }

        public func expand(_ inputs: [Tensor?]) throws -> [Tensor] {
            let (x, target) = (try required(inputs, 0, "input"), try required(inputs, 1, "target"))
            let loss = NllLoss(
                labels: target.array, weight: optional(inputs, 2)?.array, labelSmoothing: 0, ignoreIndex: ignoreIndex,
                reduction: reduction)
            return [try apply(loss, x)]
        }

        public static func samples() throws -> [OperatorSample] {
            lossSamples { Op.NegativeLogLikelihoodLoss(reduction: $0, ignoreIndex: $1) }
        }
    }
}

extension Operator {
    /// Shape of a loss over scores `[N, C, ...]` and labels `[N, ...]`.
    func lossShape(_ scores: [Int], _ labels: [Int], _ reduction: Reduction) throws -> [Int] {
        guard scores.count >= 2, labels == [scores[0]] + scores.dropFirst(2) else {
            throw failure("expected scores [N, C, ...] and labels [N, ...], got \(scores) and \(labels)")
        }
        return reduction == .none ? labels : []
    }

    /// All reductions, with and without weights, an ignored label and positions.
    static func lossSamples(_ make: (Reduction, Int?) -> Self) -> [OperatorSample] {
        let scores = OperatorSample.values([3, 4])
        let planes = OperatorSample.values([2, 3, 2])
        let weight = OperatorSample.values([4], in: 0.5...2, seed: 1)
        let labels = NDArray([2, 0, 3])
        return Reduction.allCases.flatMap { reduction in
            [
                OperatorSample("\(reduction)", make(reduction, nil), [scores, labels], differentiable: [0]),
                OperatorSample(
                    "\(reduction), weights, ignored", make(reduction, 0), [scores, labels, weight], differentiable: [0]),
                OperatorSample(
                    "\(reduction), positions", make(reduction, -1),
                    [planes, NDArray([1, 0, 2, -1], shape: [2, 2]), weight.rows(0..<3)],
                    differentiable: [0]),
            ]
        }
    }
}
