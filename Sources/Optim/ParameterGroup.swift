import NN

/// Parameters that share settings, as given to an optimizer; nil settings are the optimizer's own.
///
/// Groups with rates of their own are discriminative fine-tuning:
/// ```swift
/// let optimizer = try SGD(
///     [
///         ParameterGroup(model.fc.parameters(), learningRate: 0.01),
///         ParameterGroup(model.layer4.parameters()),
///     ], learningRate: 0.001, momentum: 0.9)
/// ```
public struct ParameterGroup {
    public var name: String?
    public var parameters: [Parameter]
    public var learningRate: Double?
    public var weightDecay: Double?
    /// SGD's momentum, Adam's β₁.
    public var momentum: Double?

    public init(
        _ parameters: [Parameter], name: String? = nil, learningRate: Double? = nil, weightDecay: Double? = nil,
        momentum: Double? = nil
    ) {
        self.name = name
        self.parameters = parameters
        self.learningRate = learningRate
        self.weightDecay = weightDecay
        self.momentum = momentum
    }
}

extension Optimizer {
    /// The parameters of a group that have been trainable since the optimizer was made, with the settings in force.
    ///
    /// Settings may be changed between steps; schedules do.
    public final class Group {
        public let name: String?
        public internal(set) var parameters: [Parameter]
        /// Those that have been frozen all the time.
        var frozen: [Parameter]
        public var learningRate: Double
        public var weightDecay: Double
        /// SGD's momentum, Adam's β₁.
        public var momentum: Double

        init(_ group: ParameterGroup, trainable: [Parameter], defaults: Settings) {
            name = group.name
            parameters = trainable
            frozen = group.parameters.filter { !$0.requiresGrad }
            learningRate = group.learningRate ?? defaults.learningRate
            weightDecay = group.weightDecay ?? defaults.weightDecay
            momentum = group.momentum ?? defaults.momentum
        }
    }

    /// Settings that groups may override.
    public struct Settings: Sendable {
        public var learningRate: Double
        public var weightDecay: Double
        public var momentum: Double

        public init(learningRate: Double, weightDecay: Double = 0, momentum: Double = 0) {
            self.learningRate = learningRate
            self.weightDecay = weightDecay
            self.momentum = momentum
        }
    }
}
