import Foundation
import TensorCore

/// Learning rates as a function of how many times the schedule was stepped.
///
/// A schedule is a value without state: a run that is resumed needs the number of steps only.
public protocol Schedule: Sendable {
    /// The learning rate after `step` steps for a group that was made with the rate `initial`.
    func learningRate(step: Int, initial: Double) -> Double

    /// The momentum (SGD) or β₁ (Adam) after `step` steps; nil when the schedule leaves it alone.
    func momentum(step: Int) -> Double?

    /// Steps after which the schedule has no values left; nil when it goes on for ever.
    var length: Int? { get }
}

extension Schedule {
    public func momentum(step: Int) -> Double? { nil }
    public var length: Int? { nil }
}

/// The rate never changes.
public struct ConstantLR: Schedule {
    public init() {}
    public func learningRate(step: Int, initial: Double) -> Double { initial }
}

/// The rate is multiplied by `gamma` every `stepSize` steps. Source: `torch.optim.lr_scheduler.StepLR`.
public struct StepLR: Schedule {
    public var stepSize: Int
    public var gamma: Double

    /// - `stepSize`: positive.
    public init(stepSize: Int, gamma: Double = 0.1) {
        demand(stepSize > 0, "stepSize must be positive")
        self.stepSize = stepSize
        self.gamma = gamma
    }

    public func learningRate(step: Int, initial: Double) -> Double {
        decayed(initial, by: gamma, times: step / stepSize)
    }
}

/// The rate is multiplied by `gamma` at each of `milestones`. Source: `torch.optim.lr_scheduler.MultiStepLR`.
public struct MultiStepLR: Schedule {
    public var milestones: [Int]
    public var gamma: Double

    /// - `milestones`: numbers of steps.
    public init(milestones: [Int], gamma: Double = 0.1) {
        self.milestones = milestones
        self.gamma = gamma
    }

    public func learningRate(step: Int, initial: Double) -> Double {
        decayed(initial, by: gamma, times: milestones.count { $0 <= step })
    }
}

/// The rate is multiplied by `gamma` at every step. Source: `torch.optim.lr_scheduler.ExponentialLR`.
public struct ExponentialLR: Schedule {
    public var gamma: Double

    /// - `gamma`: the factor of each step.
    public init(gamma: Double) { self.gamma = gamma }

    public func learningRate(step: Int, initial: Double) -> Double { decayed(initial, by: gamma, times: step) }
}

/// The initial rate times a function of the step's number. Source: `torch.optim.lr_scheduler.LambdaLR`.
public struct LambdaLR: Schedule {
    public var factor: @Sendable (Int) -> Double

    /// - `factor`: from the number of steps done.
    public init(_ factor: @escaping @Sendable (Int) -> Double) { self.factor = factor }

    public func learningRate(step: Int, initial: Double) -> Double { initial * factor(step) }
}

/// Half a cosine from the initial rate down to `minimum` over `period` steps, then up again.
///
/// minimum + (initial − minimum) · (1 + cos(π · step / period)) / 2. Source: `torch.optim.lr_scheduler.CosineAnnealingLR`.
public struct CosineAnnealingLR: Schedule {
    public var period: Int
    public var minimum: Double

    /// - `period`: positive.
    public init(period: Int, minimum: Double = 0) {
        demand(period > 0, "period must be positive")
        self.period = period
        self.minimum = minimum
    }

    public func learningRate(step: Int, initial: Double) -> Double {
        minimum + (initial - minimum) * (1 + cos(Double.pi * Double(step) / Double(period))) / 2
    }
}

/// The rate grows linearly from `startFactor` to all of its value over `steps` steps; then `next` begins.
///
/// Source: `torch.optim.lr_scheduler.LinearLR`, followed by another through `SequentialLR`.
public struct LinearWarmup: Schedule {
    public var steps: Int
    public var startFactor: Double
    public var next: any Schedule

    /// - `steps`: positive.
    public init(steps: Int, startFactor: Double = 1.0 / 3, then next: any Schedule = ConstantLR()) {
        demand(steps > 0, "steps must be positive")
        self.steps = steps
        self.startFactor = startFactor
        self.next = next
    }

    public func learningRate(step: Int, initial: Double) -> Double {
        guard step < steps else { return next.learningRate(step: step - steps, initial: initial) }
        return initial * (startFactor + (1 - startFactor) * Double(step) / Double(steps))
    }

    public func momentum(step: Int) -> Double? { step < steps ? nil : next.momentum(step: step - steps) }

    public var length: Int? { next.length.map { $0 + steps } }
}

/// `value` · gammaᵗⁱᵐᵉˢ, multiplied step by step as PyTorch does, so that the rounding is the same.
private func decayed(_ value: Double, by gamma: Double, times: Int) -> Double {
    (0..<times).reduce(value) { rate, _ in rate * gamma }
}
