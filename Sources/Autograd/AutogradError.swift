import TensorCore

/// What autograd refuses to do; the text says what happened, on which tensor, and what to do instead.
public enum AutogradError: Error, Equatable {
    /// `requiresGrad` asked of an integer or bool tensor.
    case notFloatingPoint(tensor: String, dtype: DType)
    /// `requiresGrad` changed on the result of a recorded operation.
    case flagChangeOnNonLeaf(tensor: String, gradFn: String)
    /// `backward()` or `grad` of something that was not recorded.
    case doesNotRequireGrad(tensor: String)
    /// `backward()` without a gradient on more than one element.
    case gradientNeeded(shape: [Int])
    /// A gradient whose shape or element type is not the tensor's.
    case gradientMismatch(operation: String, expected: String, actual: String)
    /// A second pass through a recorded graph whose saved values are gone.
    case graphFreed(operation: String)
    /// A leaf's flag changed between recording and `backward()`.
    case flagChangedAfterRecording(tensor: String, requiresGrad: Bool, operation: String)
    /// In-place change of a leaf that requires gradients, while recording.
    case inPlaceOnLeaf(tensor: String, operation: String)
    /// A value that backward needs was changed in place.
    case modifiedInPlace(operation: String, tensor: String, expectedVersion: Int, actualVersion: Int)
    /// `grad(of:wrt:)` of a tensor that the output does not depend on.
    case notUsed(tensor: String)
    /// `retainGrad()` or a hook on a tensor that will never have a gradient.
    case noGradientToObserve(request: String, tensor: String)
    /// `gradient()` of a tensor whose `grad` is nil.
    case noGradient(tensor: String, reason: String)
    /// A checkpointed body that did other work when run again.
    case checkpointDiverged(expected: Int, actual: Int)
    /// A gradient that differs from finite differences.
    case gradientCheckFailed(String)
}

extension AutogradError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .notFloatingPoint(let tensor, let dtype):
            return "only floating-point tensors can require gradients; \(tensor) is \(dtype): convert it with "
                + "to(.float32) first"
        case .flagChangeOnNonLeaf(let tensor, let gradFn):
            return "requiresGrad can be changed on leaf tensors only; \(tensor) is the result of \(gradFn): use "
                + "detach() to get a leaf that shares its values"
        case .doesNotRequireGrad(let tensor):
            return "\(tensor) does not require grad and has no grad_fn: call requiresGrad_() on the tensors to "
                + "differentiate by before the operations, and compute outside of noGrad; a model whose parameters are all "
                + "frozen records nothing: call unfreeze(matching:) first"
        case .gradientNeeded(let shape):
            return "backward() needs a scalar, but the tensor has shape \(shape): reduce it with sum() or mean(), or "
                + "pass backward(gradient:) of that shape"
        case .gradientMismatch(let operation, let expected, let actual):
            return "\(operation): expected a gradient of \(expected), got \(actual)"
        case .graphFreed(let operation):
            return "the recorded graph was freed: \(operation) has already been differentiated and its saved values "
                + "are gone: pass retainGraph: true to the first backward(), or run the forward pass again"
        case .flagChangedAfterRecording(let tensor, let requiresGrad, let operation):
            return
                "requiresGrad of \(tensor) was turned \(requiresGrad ? "on" : "off") after \(operation) had recorded "
                + "it \(requiresGrad ? "as a constant" : "for gradients"): change the flag before the forward pass, or "
                + "run the forward pass again"
        case .inPlaceOnLeaf(let tensor, let operation):
            return "\(operation): \(tensor) is a leaf that requires grad and is being recorded, so it cannot be "
                + "changed in place: do it inside noGrad { }, or compute a new tensor"
        case .modifiedInPlace(let operation, let tensor, let expected, let actual):
            return "\(operation) needs \(tensor) for its gradient, but it was changed in place: it is at version "
                + "\(actual), expected version \(expected): change a clone() instead, or after backward()"
        case .notUsed(let tensor):
            return "\(tensor) was not used to compute the output, so there is no gradient: pass allowUnused: true to "
                + "get nil for it"
        case .noGradientToObserve(let request, let tensor):
            return "\(request): \(tensor) does not require grad, so it never has a gradient: call requiresGrad_() first"
        case .noGradient(let tensor, let reason):
            return "\(tensor) has no grad: \(reason)"
        case .checkpointDiverged(let expected, let actual):
            return "checkpoint: the body saved \(expected) values the first time and \(actual) when run again: it must "
                + "do the same work each time (no changing state, no unseeded random numbers)"
        case .gradientCheckFailed(let report):
            return report
        }
    }
}
