import NN
import TensorCore

/// Adam (Kingma and Ba, 2015): steps scaled by running means of the gradient and of its square.
///
/// With d = g + weightDecay · p:  m ← β₁ m + (1 − β₁) d,  v ← β₂ v + (1 − β₂) d²,
/// p ← p − learningRate · (m / (1 − β₁ᵗ)) / (√(v / (1 − β₂ᵗ)) + epsilon); with `amsgrad` the largest v so far takes v's place.
/// Source: `torch.optim.Adam`.
public class Adam: Optimizer {
    private let beta2: Double
    private let epsilon: Double
    private let isDecoupled: Bool
    private let amsgrad: Bool

    init(
        _ groups: [ParameterGroup], learningRate: Double, betas: (Double, Double), epsilon: Double,
        weightDecay: Double, isDecoupled: Bool, amsgrad: Bool, maximize: Bool
    ) throws {
        beta2 = betas.1
        self.epsilon = epsilon
        self.isDecoupled = isDecoupled
        self.amsgrad = amsgrad
        try super.init(
            groups,
            defaults: Settings(learningRate: learningRate, weightDecay: weightDecay, momentum: betas.0),
            momentNames: ["exp_avg", "exp_avg_sq"] + (amsgrad ? ["max_exp_avg_sq"] : []), maximize: maximize)
        try require((0..<1).contains(betas.0), "β₁", betas.0, "a number in 0..<1")
        try require((0..<1).contains(betas.1), "β₂", betas.1, "a number in 0..<1")
        try require(epsilon >= 0, "epsilon", epsilon, "a number from 0")
    }

    /// - Throws: `OptimizerError` as `Optimizer.init`, and for betas outside of 0 ..< 1.
    public convenience init(
        _ groups: [ParameterGroup], learningRate: Double = 1e-3, betas: (Double, Double) = (0.9, 0.999),
        epsilon: Double = 1e-8, weightDecay: Double = 0, amsgrad: Bool = false, maximize: Bool = false
    ) throws {
        try self.init(
            groups, learningRate: learningRate, betas: betas, epsilon: epsilon, weightDecay: weightDecay,
            isDecoupled: false, amsgrad: amsgrad, maximize: maximize)
    }

    /// One group.
    public convenience init(
        _ parameters: [Parameter], learningRate: Double = 1e-3, betas: (Double, Double) = (0.9, 0.999),
        epsilon: Double = 1e-8, weightDecay: Double = 0, amsgrad: Bool = false, maximize: Bool = false
    ) throws {
        try self.init(
            [ParameterGroup(parameters)], learningRate: learningRate, betas: betas, epsilon: epsilon,
            weightDecay: weightDecay, amsgrad: amsgrad, maximize: maximize)
    }

    public override func update(
        _ parameter: inout NDArray, gradient: NDArray, state: inout ParameterState, group: Group
    ) throws {
        let settings = AdamSettings(
            learningRate: group.learningRate, beta1: group.momentum, beta2: beta2, epsilon: epsilon,
            weightDecay: group.weightDecay, isDecoupled: isDecoupled, amsgrad: amsgrad)
        try NDArray.adamStep(
            &parameter, gradient: gradient, moments: &state.moments, step: state.step, settings)
    }
}

/// Adam whose weight decay shrinks the parameter directly instead of entering the gradient (Loshchilov and Hutter, 2019).
///
/// p ← p · (1 − learningRate · weightDecay), then Adam's step with d = g. Source: `torch.optim.AdamW`.
public final class AdamW: Adam {
    /// - Throws: as `Adam`.
    public convenience init(
        _ groups: [ParameterGroup], learningRate: Double = 1e-3, betas: (Double, Double) = (0.9, 0.999),
        epsilon: Double = 1e-8, weightDecay: Double = 1e-2, amsgrad: Bool = false, maximize: Bool = false
    ) throws {
        try self.init(
            groups, learningRate: learningRate, betas: betas, epsilon: epsilon, weightDecay: weightDecay,
            isDecoupled: true, amsgrad: amsgrad, maximize: maximize)
    }

    /// One group.
    public convenience init(
        _ parameters: [Parameter], learningRate: Double = 1e-3, betas: (Double, Double) = (0.9, 0.999),
        epsilon: Double = 1e-8, weightDecay: Double = 1e-2, amsgrad: Bool = false, maximize: Bool = false
    ) throws {
        try self.init(
            [ParameterGroup(parameters)], learningRate: learningRate, betas: betas, epsilon: epsilon,
            weightDecay: weightDecay, amsgrad: amsgrad, maximize: maximize)
    }
}
