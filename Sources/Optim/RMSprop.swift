import NN
import TensorCore

/// Steps divided by a running root mean square of the gradient (Hinton, 2012).
///
/// With d = g + weightDecay · p: s ← α s + (1 − α) d²; `centered` subtracts the square of a running mean of d from s under the
/// root; u = d / (√s + epsilon); with momentum b ← momentum · b + u takes u's place; p ← p − learningRate · u.
/// Source: `torch.optim.RMSprop`.
public final class RMSprop: Optimizer {
    private let alpha: Double
    private let epsilon: Double
    private let centered: Bool

    /// - Throws: `OptimizerError` as `Optimizer.init`, and for settings out of range.
    public init(
        _ groups: [ParameterGroup], learningRate: Double = 1e-2, alpha: Double = 0.99, epsilon: Double = 1e-8,
        weightDecay: Double = 0, momentum: Double = 0, centered: Bool = false, maximize: Bool = false
    ) throws {
        self.alpha = alpha
        self.epsilon = epsilon
        self.centered = centered
        try super.init(
            groups, defaults: Settings(learningRate: learningRate, weightDecay: weightDecay, momentum: momentum),
            momentNames: ["square_avg", "momentum_buffer", "grad_avg"], maximize: maximize)
        try require(alpha >= 0, "alpha", alpha, "a number from 0")
        try require(epsilon >= 0, "epsilon", epsilon, "a number from 0")
        try require(momentum >= 0, "momentum", momentum, "a number from 0")
    }

    /// One group.
    public convenience init(
        _ parameters: [Parameter], learningRate: Double = 1e-2, alpha: Double = 0.99, epsilon: Double = 1e-8,
        weightDecay: Double = 0, momentum: Double = 0, centered: Bool = false, maximize: Bool = false
    ) throws {
        try self.init(
            [ParameterGroup(parameters)], learningRate: learningRate, alpha: alpha, epsilon: epsilon,
            weightDecay: weightDecay, momentum: momentum, centered: centered, maximize: maximize)
    }

    public override func update(
        _ parameter: inout NDArray, gradient: NDArray, state: inout ParameterState, group: Group
    ) throws {
        var d = gradient
        if group.weightDecay != 0 { try d.addInPlace(parameter, scale: group.weightDecay) }
        func running(_ index: Int, _ kept: Double, _ new: NDArray, _ share: Double) throws -> NDArray {
            var mean = state.moments[index] ?? .zeros(parameter.shape, dtype: parameter.dtype)
            state.moments[index] = nil
            mean.scaleInPlace(kept)
            try mean.addInPlace(new, scale: share)
            state.moments[index] = mean
            return mean
        }
        var square = try running(0, alpha, .binary(.mul, d, d), 1 - alpha)
        if centered {
            let mean = try running(2, alpha, d, 1 - alpha)
            square = try .binary(.sub, square, .binary(.mul, mean, mean))
        }
        var step = try NDArray.binary(.div, d, .binary(.add, square.map(.sqrt), epsilon))
        if group.momentum > 0 { step = try running(1, group.momentum, step, 1) }
        try parameter.addInPlace(step, scale: -group.learningRate)
    }
}
