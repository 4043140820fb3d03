import Autograd
import TensorCore

/// Cross entropy between scores and labels: the negative log likelihood of the log-softmax.
///
/// - `logits`: `[N, C, ...]`, or `[C]` for one sample.
/// - `labels`: integers `[N, ...]`, each in `0 ..< C` or `ignoreIndex`.
/// - `weight`: `[C]`, a factor for every class.
/// - `ignoreIndex`: samples with this label count nothing.
/// - `labelSmoothing`: ε in 0 ... 1; the target is 1 - ε for the label plus ε / C for every class.
/// - Returns: a scalar, or `[N, ...]` without reduction. The mean is weighted by the weights of the labels.
/// - Throws: `ShapeError` when shapes do not fit, a label is not a class, or ε is out of range.
///
/// Source: `torch.nn.functional.cross_entropy`.
public func crossEntropy(
    _ logits: Tensor, labels: Tensor, weight: Tensor? = nil, ignoreIndex: Int = -100, labelSmoothing: Double = 0,
    reduction: Reduction = .mean
) throws -> Tensor {
    guard logits.rank > 0 else { throw ShapeError("crossEntropy", "expected logits [N, C, ...], got a scalar") }
    guard (0...1).contains(labelSmoothing) else {
        throw ShapeError("crossEntropy", "label smoothing must lie between 0 and 1, got \(labelSmoothing)")
    }
    let loss = NllLoss(
        labels: labels.array, weight: weight?.array, labelSmoothing: labelSmoothing, ignoreIndex: ignoreIndex,
        reduction: reduction)
    let softmax = SoftmaxFunction(axis: logits.rank == 1 ? 0 : 1, logarithm: true)
    return try apply(loss, apply(softmax, logits))
}

/// `crossEntropy` with labels as Swift numbers, one per sample; logits: `[N, C]`.
public func crossEntropy(
    _ logits: Tensor, labels: [Int], weight: Tensor? = nil, ignoreIndex: Int = -100, labelSmoothing: Double = 0,
    reduction: Reduction = .mean
) throws -> Tensor {
    try crossEntropy(
        logits, labels: Tensor(NDArray(labels)), weight: weight, ignoreIndex: ignoreIndex,
        labelSmoothing: labelSmoothing, reduction: reduction)
}
