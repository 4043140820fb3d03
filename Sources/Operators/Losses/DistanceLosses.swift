import Autograd
import TensorCore

/// Mean absolute error |input − target|. Both of one shape. Source: `torch.nn.functional.l1_loss`.
///
/// - Returns: a scalar, or the distances without reduction.
/// - Throws: `ShapeError` when the shapes differ.
public func l1Loss(_ input: Tensor, _ target: Tensor, reduction: Reduction = .mean) throws -> Tensor {
    try reduction.apply(to: difference(input, target, "l1Loss").abs())
}

/// d² / (2β) for |d| < β, |d| − β/2 beyond, with d = input − target; β = 0 is `l1Loss`.
///
/// - Throws: `ShapeError` when the shapes differ or β is negative. Source: `torch.nn.functional.smooth_l1_loss`.
public func smoothL1Loss(
    _ input: Tensor, _ target: Tensor, beta: Double = 1, reduction: Reduction = .mean
) throws -> Tensor {
    guard beta >= 0 else { throw ShapeError("smoothL1Loss", "expected beta from 0, got \(beta)") }
    if beta == 0 { return try l1Loss(input, target, reduction: reduction) }
    let loss: Tensor = try apply(RoundedDistance(width: beta), difference(input, target, "smoothL1Loss"))
    return try reduction.apply(to: loss / beta)
}

/// d² / 2 for |d| ≤ δ, δ (|d| − δ/2) beyond, with d = input − target.
///
/// - Throws: `ShapeError` when the shapes differ or δ is not positive. Source: `torch.nn.functional.huber_loss`.
public func huberLoss(
    _ input: Tensor, _ target: Tensor, delta: Double = 1, reduction: Reduction = .mean
) throws -> Tensor {
    guard delta > 0 else { throw ShapeError("huberLoss", "expected a positive delta, got \(delta)") }
    return try reduction.apply(to: apply(RoundedDistance(width: delta), difference(input, target, "huberLoss")))
}

private func difference(_ input: Tensor, _ target: Tensor, _ operation: String) throws -> Tensor {
    guard input.shape == target.shape else {
        throw ShapeError(operation, "expected equal shapes, got \(input.shape) and \(target.shape)")
    }
    return input - target
}

/// d² / 2 for |d| ≤ width, width (|d| − width/2) beyond: its derivative is d limited to ±width.
private struct RoundedDistance: DifferentiableFunction, ElementFunction {
    let width: Double
    var name: String { "HuberLoss" }

    @inline(__always)
    func callAsFunction<T: FloatingScalar>(_ d: T) -> T {
        let (size, width) = (d < 0 ? -d : d, T(width))
        return size > width ? width * (size - T(0.5) * width) : T(0.5) * d * d
    }

    func forward(_ inputs: [NDArray?]) throws -> [NDArray] {
        try inputs.compactMap { try $0?.mapped(self, "huberLoss") }
    }

    func saved(for needs: IndexSet64) -> SavedValues { SavedValues(inputs: 0) }

    func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
        try [gradOutputs[0].map { try $0 * context.input(0).hardtanh(-width, width) }]
    }
}

/// 1 − cos(a, b) where `target` is 1, max(0, cos(a, b) − margin) where it is −1. a, b: `[N, D]`, target: `[N]`.
///
/// - Throws: `ShapeError` when the shapes do not fit. Source: `torch.nn.functional.cosine_embedding_loss`.
public func cosineEmbeddingLoss(
    _ a: Tensor, _ b: Tensor, target: Tensor, margin: Double = 0, reduction: Reduction = .mean
) throws -> Tensor {
    guard a.shape == b.shape, a.rank >= 1, target.shape == Array(a.shape.dropLast()) else {
        throw ShapeError(
            "cosineEmbeddingLoss", "expected [N, D], [N, D] and [N], got \(a.shape), \(b.shape) and \(target.shape)")
    }
    // The length of zero vectors is taken as 1e-6.
    let squares = ((a * a).sum(dim: -1) + 1e-12) * ((b * b).sum(dim: -1) + 1e-12)
    let cosine = (a * b).sum(dim: -1) / squares.sqrt()
    let isAlike = target .== 1
    let apart = Tensor.where(target .== -1, (cosine - margin).clamp(min: 0), 0)
    return try reduction.apply(to: Tensor.where(isAlike, 1 - cosine, apart))
}

/// max(0, |anchor − positive| − |anchor − negative| + margin) with Euclidean distances along the last axis.
///
/// anchor, positive, negative: `[N, D]`; `swap` takes |positive − negative| where that is smaller than |anchor − negative|.
/// - Throws: `ShapeError` when the shapes differ. Source: `torch.nn.functional.triplet_margin_loss` with p = 2.
public func tripletMarginLoss(
    _ anchor: Tensor, _ positive: Tensor, _ negative: Tensor, margin: Double = 1, eps: Double = 1e-6,
    swap: Bool = false, reduction: Reduction = .mean
) throws -> Tensor {
    guard anchor.shape == positive.shape, anchor.shape == negative.shape, anchor.rank >= 1 else {
        throw ShapeError(
            "tripletMarginLoss",
            "expected equal shapes, got \(anchor.shape), \(positive.shape) and \(negative.shape)")
    }
    func distance(_ a: Tensor, _ b: Tensor) -> Tensor { (a - b + eps).norm(dim: [-1]) }
    var toNegative = distance(anchor, negative)
    if swap { toNegative = toNegative.minimum(distance(positive, negative)) }
    return try reduction.apply(to: (distance(anchor, positive) - toNegative + margin).clamp(min: 0))
}
