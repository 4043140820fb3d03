import NN
import TensorCore

/// Steps divided by the root of the sum of all squared gradients (Duchi, Hazan and Singer, 2011).
///
/// With d = g + weightDecay · p: s ← s + d²; p ← p − learningRate / (1 + (t − 1) · decay) · d / (√s + epsilon), t being the
/// step's number from 1. Source: `torch.optim.Adagrad`.
public final class Adagrad: Optimizer {
    private let decay: Double
    private let epsilon: Double
    private let initialSum: Double

    /// - `learningRateDecay`: the decay in the formula.
    /// - `initialAccumulatorValue`: what the sums begin with.
    /// - Throws: `OptimizerError` as `Optimizer.init`, and for settings out of range.
    public init(
        _ groups: [ParameterGroup], learningRate: Double = 1e-2, learningRateDecay: Double = 0,
        weightDecay: Double = 0, initialAccumulatorValue: Double = 0, epsilon: Double = 1e-10, maximize: Bool = false
    ) throws {
        decay = learningRateDecay
        self.epsilon = epsilon
        initialSum = initialAccumulatorValue
        try super.init(
            groups, defaults: Settings(learningRate: learningRate, weightDecay: weightDecay), momentNames: ["sum"],
            maximize: maximize)
        try require(decay >= 0, "learningRateDecay", decay, "a number from 0")
        try require(epsilon >= 0, "epsilon", epsilon, "a number from 0")
        try require(initialSum >= 0, "initialAccumulatorValue", initialSum, "a number from 0")
    }

    /// One group.
    public convenience init(
        _ parameters: [Parameter], learningRate: Double = 1e-2, learningRateDecay: Double = 0,
        weightDecay: Double = 0, initialAccumulatorValue: Double = 0, epsilon: Double = 1e-10, maximize: Bool = false
    ) throws {
        try self.init(
            [ParameterGroup(parameters)], learningRate: learningRate, learningRateDecay: learningRateDecay,
            weightDecay: weightDecay, initialAccumulatorValue: initialAccumulatorValue, epsilon: epsilon,
            maximize: maximize)
    }

    public override func update(
        _ parameter: inout NDArray, gradient: NDArray, state: inout ParameterState, group: Group
    ) throws {
        var d = gradient
        if group.weightDecay != 0 { try d.addInPlace(parameter, scale: group.weightDecay) }
        var sum = state.moments[0] ?? .full(parameter.shape, initialSum, dtype: parameter.dtype)
        state.moments[0] = nil
        try sum.addInPlace(.binary(.mul, d, d))
        state.moments[0] = sum
        let step = try NDArray.binary(.div, d, .binary(.add, sum.map(.sqrt), epsilon))
        let rate = group.learningRate / (1 + Double(state.step - 1) * decay)
        try parameter.addInPlace(step, scale: -rate)
    }
}
