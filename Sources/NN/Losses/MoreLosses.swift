import Autograd
import Operators
import TensorCore

/// The mean of |input − target|. Source: `torch.nn.L1Loss`.
public struct L1Loss {
    public var reduction: Reduction

    public init(reduction: Reduction = .mean) { self.reduction = reduction }

    /// The loss. Throws `ShapeError` when the shapes differ.
    public func callAsFunction(_ input: Tensor, _ target: Tensor) throws -> Tensor {
        try l1Loss(input, target, reduction: reduction)
    }
}

/// Quadratic up to `beta`, linear beyond. Source: `torch.nn.SmoothL1Loss`.
public struct SmoothL1Loss {
    public var beta: Double
    public var reduction: Reduction

    public init(beta: Double = 1, reduction: Reduction = .mean) {
        self.beta = beta
        self.reduction = reduction
    }

    /// The loss. Throws `ShapeError` when the shapes differ or beta is negative.
    public func callAsFunction(_ input: Tensor, _ target: Tensor) throws -> Tensor {
        try smoothL1Loss(input, target, beta: beta, reduction: reduction)
    }
}

/// Quadratic up to `delta`, linear beyond. Source: `torch.nn.HuberLoss`.
public struct HuberLoss {
    public var delta: Double
    public var reduction: Reduction

    public init(delta: Double = 1, reduction: Reduction = .mean) {
        self.delta = delta
        self.reduction = reduction
    }

    /// The loss. Throws `ShapeError` when the shapes differ or delta is not positive.
    public func callAsFunction(_ input: Tensor, _ target: Tensor) throws -> Tensor {
        try huberLoss(input, target, delta: delta, reduction: reduction)
    }
}

/// Binary cross entropy of probabilities. Source: `torch.nn.BCELoss`.
public struct BCELoss {
    /// A factor for every element, which broadcasts.
    public var weight: Tensor?
    public var reduction: Reduction

    public init(weight: Tensor? = nil, reduction: Reduction = .mean) {
        self.weight = weight
        self.reduction = reduction
    }

    /// The loss. Throws `ShapeError` when the shapes differ or the input is no probability.
    public func callAsFunction(_ input: Tensor, _ target: Tensor) throws -> Tensor {
        try binaryCrossEntropy(input, target, weight: weight, reduction: reduction)
    }
}

/// Binary cross entropy of scores: multi-label learning. Source: `torch.nn.BCEWithLogitsLoss`.
public struct BCEWithLogitsLoss {
    /// A factor for every element, which broadcasts.
    public var weight: Tensor?
    /// A factor for the positive part of each class, which broadcasts.
    public var positiveWeight: Tensor?
    public var reduction: Reduction

    public init(weight: Tensor? = nil, positiveWeight: Tensor? = nil, reduction: Reduction = .mean) {
        self.weight = weight
        self.positiveWeight = positiveWeight
        self.reduction = reduction
    }

    /// The loss. Throws `ShapeError` when the shapes differ.
    public func callAsFunction(_ input: Tensor, _ target: Tensor) throws -> Tensor {
        try binaryCrossEntropyWithLogits(
            input, target, weight: weight, positiveWeight: positiveWeight, reduction: reduction)
    }
}

/// Kullback-Leibler divergence of log-probabilities from probabilities: distillation. Source: `torch.nn.KLDivLoss`.
public struct KLDivLoss {
    /// The target holds logarithms too.
    public var logTarget: Bool
    /// The sum divided by the batch's size, PyTorch's `batchmean`; otherwise `reduction`.
    public var batchMean: Bool
    public var reduction: Reduction

    public init(logTarget: Bool = false, batchMean: Bool = false, reduction: Reduction = .mean) {
        self.logTarget = logTarget
        self.batchMean = batchMean
        self.reduction = reduction
    }

    /// The loss. Throws `ShapeError` when the shapes differ.
    public func callAsFunction(_ input: Tensor, _ target: Tensor) throws -> Tensor {
        try klDivergence(input, target, logTarget: logTarget, batchMean: batchMean, reduction: reduction)
    }
}

/// Pulls pairs with target 1 together and pushes pairs with target −1 apart. Source: `torch.nn.CosineEmbeddingLoss`.
public struct CosineEmbeddingLoss {
    public var margin: Double
    public var reduction: Reduction

    public init(margin: Double = 0, reduction: Reduction = .mean) {
        self.margin = margin
        self.reduction = reduction
    }

    /// The loss. Throws `ShapeError` when the shapes do not fit.
    public func callAsFunction(_ a: Tensor, _ b: Tensor, _ target: Tensor) throws -> Tensor {
        try cosineEmbeddingLoss(a, b, target: target, margin: margin, reduction: reduction)
    }
}

/// Asks that the anchor be nearer to the positive than to the negative by a margin. Source: `torch.nn.TripletMarginLoss`.
public struct TripletMarginLoss {
    public var margin: Double
    public var eps: Double
    /// Takes the positive's distance to the negative where that is smaller than the anchor's.
    public var swap: Bool
    public var reduction: Reduction

    public init(margin: Double = 1, eps: Double = 1e-6, swap: Bool = false, reduction: Reduction = .mean) {
        self.margin = margin
        self.eps = eps
        self.swap = swap
        self.reduction = reduction
    }

    /// The loss. Throws `ShapeError` when the shapes differ.
    public func callAsFunction(_ anchor: Tensor, _ positive: Tensor, _ negative: Tensor) throws -> Tensor {
        try tripletMarginLoss(
            anchor, positive, negative, margin: margin, eps: eps, swap: swap, reduction: reduction)
    }
}
