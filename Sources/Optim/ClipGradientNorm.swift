import Autograd
import NN
import TensorCore

/// What gradients are measured by.
public enum GradientNorm: Sendable {
    /// √Σ g² over every element of every gradient.
    case euclidean
    /// The largest |g|.
    case maximum
}

/// Limits every element of the gradients of `parameters` to ±`clipValue`; parameters without a gradient are passed over.
///
/// Source: `torch.nn.utils.clip_grad_value_`.
public func clipGradientValue(_ parameters: [Parameter], clipValue: Double) throws {
    try noGrad {
        for gradient in parameters.compactMap(\.grad) {
            try gradient.mutate { $0 = try $0.clamped(min: -clipValue, max: clipValue) }
        }
    }
}

/// Scales the gradients of `parameters` down together so that their common norm is at most `maxNorm`.
///
/// Gradients are multiplied by maxNorm / (norm + 1e-6) when that is below 1; parameters without a gradient are passed over.
/// Source: `torch.nn.utils.clip_grad_norm_`.
///
/// - Returns: the norm before scaling, infinite or NaN when a gradient is.
@discardableResult
public func clipGradientNorm(
    _ parameters: [Parameter], maxNorm: Double, norm kind: GradientNorm = .euclidean
) throws -> Double {
    let gradients = parameters.compactMap(\.grad)
    let norm: Double
    switch kind {
    case .euclidean: norm = gradients.reduce(0) { $0 + $1.array.l2NormSquared() }.squareRoot()
    case .maximum:
        // `max` of Swift passes over NaN.
        norm = gradients.reduce(0) { $1.array.doubles().reduce($0) { $1.isNaN ? $1 : max($0, abs($1)) } }
    }
    let scale = maxNorm / (norm + 1e-6)
    guard !(scale >= 1) else { return norm }
    try noGrad {
        for gradient in gradients { try gradient.mutate { $0.scaleInPlace(scale) } }
    }
    return norm
}
