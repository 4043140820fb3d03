import Autograd
import TensorCore

/// −(y ln p + (1 − y) ln (1 − p)) of probabilities p and targets y in 0 ... 1, of one shape; logarithms are −100 at least.
///
/// - `weight`: a factor for every element, which broadcasts.
/// - Throws: `ShapeError` when the shapes differ. Source: `torch.nn.functional.binary_cross_entropy`.
public func binaryCrossEntropy(
    _ input: Tensor, _ target: Tensor, weight: Tensor? = nil, reduction: Reduction = .mean
) throws -> Tensor {
    guard input.shape == target.shape else {
        throw ShapeError("binaryCrossEntropy", "expected equal shapes, got \(input.shape) and \(target.shape)")
    }
    guard input.array.doubles().allSatisfy({ $0.isNaN || (0...1).contains($0) }) else {
        throw ShapeError(
            "binaryCrossEntropy",
            "expected probabilities from 0 to 1: scores without a sigmoid go to binaryCrossEntropyWithLogits")
    }
    let loss: Tensor = try apply(BinaryCrossEntropy(), input, target.to(input.dtype))
    return try reduction.apply(to: weight.map { loss * $0 } ?? loss)
}

private struct BinaryCrossEntropy: DifferentiableFunction {
    let name = "BinaryCrossEntropy"

    private func logarithms(_ p: NDArray) throws -> (ofP: NDArray, ofRest: NDArray) {
        let rest = try NDArray.binary(.sub, NDArray(scalar: 1, dtype: p.dtype), p)
        let largest = Double.greatestFiniteMagnitude
        return (try p.map(.log).clamped(min: -100, max: largest), try rest.map(.log).clamped(min: -100, max: largest))
    }

    func forward(_ inputs: [NDArray?]) throws -> [NDArray] {
        guard let p = inputs[0], let y = inputs[1] else { return [] }
        let (ofP, ofRest) = try logarithms(p)
        let rest = try NDArray.binary(.sub, y, NDArray(scalar: 1, dtype: y.dtype))
        return [try NDArray.binary(.sub, NDArray.binary(.mul, rest, ofRest), NDArray.binary(.mul, y, ofP))]
    }

    func saved(for needs: IndexSet64) -> SavedValues { SavedValues(inputs: [0, 1]) }

    func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
        guard let g = gradOutputs[0] else { return [nil, nil] }
        let (p, y) = (try context.input(0), try context.input(1))
        var gradTarget: Tensor?
        if context.needs(1) { gradTarget = g * ((1 - p).log().clamp(min: -100) - p.log().clamp(min: -100)) }
        return [context.needs(0) ? g * (p - y) / ((1 - p) * p).clamp(min: 1e-12) : nil, gradTarget]
    }
}

/// Binary cross entropy of scores x before the sigmoid: (1 − y) x + ℓ ln(1 + e⁻ˣ), ℓ = 1 + (positiveWeight − 1) y.
///
/// input and target have one shape; targets lie in 0 ... 1, one per class in multi-label learning.
/// - `weight`: a factor for every element, which broadcasts.
/// - `positiveWeight`: a factor for the positive part of each class, which broadcasts.
/// - Throws: `ShapeError` when the shapes differ. Source: `torch.nn.functional.binary_cross_entropy_with_logits`.
public func binaryCrossEntropyWithLogits(
    _ input: Tensor, _ target: Tensor, weight: Tensor? = nil, positiveWeight: Tensor? = nil,
    reduction: Reduction = .mean
) throws -> Tensor {
    guard input.shape == target.shape else {
        throw ShapeError(
            "binaryCrossEntropyWithLogits", "expected equal shapes, got \(input.shape) and \(target.shape)")
    }
    let target = target.to(input.dtype)
    let positive = (-input).softplus()
    let scaled = positiveWeight.map { positive * (($0 - 1) * target + 1) } ?? positive
    let loss = (1 - target) * input + scaled
    return try reduction.apply(to: weight.map { loss * $0 } ?? loss)
}

/// Kullback-Leibler divergence t (ln t − input) of log-probabilities `input` from probabilities t, of one shape.
///
/// - `logTarget`: `target` holds logarithms too.
/// - `batchMean`: the sum divided by the first axis's length, as the divergence is defined; otherwise `reduction`.
/// - Throws: `ShapeError` when the shapes differ. Source: `torch.nn.functional.kl_div`.
public func klDivergence(
    _ input: Tensor, _ target: Tensor, logTarget: Bool = false, batchMean: Bool = false, reduction: Reduction = .mean
) throws -> Tensor {
    guard input.shape == target.shape else {
        throw ShapeError("klDivergence", "expected equal shapes, got \(input.shape) and \(target.shape)")
    }
    let loss: Tensor
    if logTarget {
        loss = target.exp() * (target - input)
    } else {
        // 0 ln 0 is 0, with a derivative that is not asked of the logarithm.
        let isZero = target .== 0
        loss = target * Tensor.where(isZero, 1, target).log() - target * input
    }
    guard batchMean else { return try reduction.apply(to: loss) }
    return loss.sum() / Double(input.shape.first ?? 1)
}
