import Autograd
import Operators
import TensorCore

/// Cross entropy between scores and labels, averaged over the batch unless told otherwise.
///
/// logits: `[N, C, ...]`, labels: integers `[N, ...]`. Source: `torch.nn.CrossEntropyLoss`.
public struct CrossEntropyLoss {
    /// `[C]`, a factor for every class; the mean is weighted by the factors of the labels.
    public var weight: Tensor?
    /// Samples with this label count nothing.
    public var ignoreIndex: Int
    /// ε: the target is 1 − ε for the label plus ε / C for every class.
    public var labelSmoothing: Double
    public var reduction: Reduction

    public init(
        weight: Tensor? = nil, ignoreIndex: Int = -100, labelSmoothing: Double = 0, reduction: Reduction = .mean
    ) {
        self.weight = weight
        self.ignoreIndex = ignoreIndex
        self.labelSmoothing = labelSmoothing
        self.reduction = reduction
    }

    /// The loss. Throws `ShapeError` when shapes do not fit or a label is not a class.
    public func callAsFunction(_ logits: Tensor, _ labels: Tensor) throws -> Tensor {
        try crossEntropy(
            logits, labels: labels, weight: weight, ignoreIndex: ignoreIndex, labelSmoothing: labelSmoothing,
            reduction: reduction)
    }

    /// The loss of labels given as Swift numbers, one per sample.
    public func callAsFunction(_ logits: Tensor, _ labels: [Int]) throws -> Tensor {
        try self(logits, Tensor(NDArray(labels)))
    }
}

/// The negative log likelihood of labels under log-probabilities `[N, C, ...]`. Source: `torch.nn.NLLLoss`.
public struct NLLLoss {
    /// `[C]`, a factor for every class.
    public var weight: Tensor?
    /// Samples with this label count nothing.
    public var ignoreIndex: Int
    public var reduction: Reduction

    public init(weight: Tensor? = nil, ignoreIndex: Int = -100, reduction: Reduction = .mean) {
        self.weight = weight
        self.ignoreIndex = ignoreIndex
        self.reduction = reduction
    }

    /// The loss. Throws `ShapeError` when shapes do not fit or a label is not a class.
    public func callAsFunction(_ logProbabilities: Tensor, _ labels: Tensor) throws -> Tensor {
        try nllLoss(
            logProbabilities, labels, weight: weight, ignoreIndex: ignoreIndex, reduction: reduction)
    }
}

/// The mean of (input − target)². Source: `torch.nn.MSELoss`.
public struct MSELoss {
    public var reduction: Reduction

    public init(reduction: Reduction = .mean) { self.reduction = reduction }

    /// The loss. Throws `ShapeError` when the shapes differ.
    public func callAsFunction(_ input: Tensor, _ target: Tensor) throws -> Tensor {
        try mseLoss(input, target, reduction: reduction)
    }
}
