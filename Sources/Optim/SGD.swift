import NN
import TensorCore

/// Stochastic gradient descent with momentum.
///
/// With d = g + weightDecay · p:  b ← d in the first step, momentum · b + (1 − dampening) · d after it;
/// p ← p − learningRate · b, or with `nesterov` p ← p − learningRate · (d + momentum · b). Source: `torch.optim.SGD`.
public final class SGD: Optimizer {
    private let dampening: Double
    private let nesterov: Bool

    /// - Throws: `OptimizerError` as `Optimizer.init`, and for Nesterov without momentum or with dampening.
    public init(
        _ groups: [ParameterGroup], learningRate: Double = 1e-3, momentum: Double = 0, dampening: Double = 0,
        weightDecay: Double = 0, nesterov: Bool = false, maximize: Bool = false
    ) throws {
        self.dampening = dampening
        self.nesterov = nesterov
        try super.init(
            groups,
            defaults: Settings(learningRate: learningRate, weightDecay: weightDecay, momentum: momentum),
            momentNames: ["momentum_buffer"], maximize: maximize)
        try require(momentum >= 0, "momentum", momentum, "a number from 0")
        if nesterov {
            try require(momentum > 0, "momentum", momentum, "more than 0 for Nesterov momentum")
            try require(dampening == 0, "dampening", dampening, "0 for Nesterov momentum")
        }
    }

    /// One group.
    public convenience init(
        _ parameters: [Parameter], learningRate: Double = 1e-3, momentum: Double = 0, dampening: Double = 0,
        weightDecay: Double = 0, nesterov: Bool = false, maximize: Bool = false
    ) throws {
        try self.init(
            [ParameterGroup(parameters)], learningRate: learningRate, momentum: momentum, dampening: dampening,
            weightDecay: weightDecay, nesterov: nesterov, maximize: maximize)
    }

    public override func update(
        _ parameter: inout NDArray, gradient: NDArray, state: inout ParameterState, group: Group
    ) throws {
        let settings = SGDSettings(
            learningRate: group.learningRate, momentum: group.momentum, dampening: dampening,
            weightDecay: group.weightDecay, nesterov: nesterov)
        try NDArray.sgdStep(&parameter, gradient: gradient, momentumBuffer: &state.moments[0], settings)
    }
}
