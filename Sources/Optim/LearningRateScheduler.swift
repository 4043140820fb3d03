/// Moves an optimizer's learning rates along a schedule, one `step()` per epoch or per batch.
///
/// ```swift
/// let scheduler = LearningRateScheduler(optimizer, StepLR(stepSize: 7, gamma: 0.1))
/// ```
/// The schedule's first values are in force at once. Source: `torch.optim.lr_scheduler.LRScheduler`.
public final class LearningRateScheduler {
    public let optimizer: Optimizer
    public let schedule: any Schedule
    /// How often `step()` was called.
    public private(set) var stepCount = 0
    /// Rates that the groups had when the scheduler first saw them.
    private var initial: [Double] = []

    /// Puts the first rates of `schedule` in force.
    public init(_ optimizer: Optimizer, _ schedule: some Schedule) {
        self.optimizer = optimizer
        self.schedule = schedule
        apply()
    }

    /// Goes on to the schedule's next rates. Groups added since join with the rate they were added with as their initial one.
    ///
    /// - Throws: `OptimizerError.scheduleEnded` past the schedule's length.
    public func step() throws {
        if let length = schedule.length, stepCount >= length {
            throw OptimizerError.scheduleEnded(schedule: String(describing: type(of: schedule)), length: length)
        }
        stepCount += 1
        apply()
    }

    /// Puts groups that were added since the last step where the schedule is; without it they keep their own rate until the
    /// next step.
    public func includeNewGroups() { apply() }

    /// The rate of each group.
    public var learningRates: [Double] { optimizer.groups.map(\.learningRate) }

    /// What continuing needs: the number of steps, and each group's initial rate.
    public var state: State {
        get { State(stepCount: stepCount, initial: initial) }
        set {
            (stepCount, initial) = (newValue.stepCount, newValue.initial)
            apply()
        }
    }

    /// See `LearningRateScheduler.state`.
    public struct State: Sendable, Codable, Equatable {
        public var stepCount: Int
        /// Learning rate of each group.
        public var initial: [Double]
    }

    private func apply() {
        for (index, group) in optimizer.groups.enumerated() {
            if index == initial.count { initial.append(group.learningRate) }
            group.learningRate = schedule.learningRate(step: stepCount, initial: initial[index])
            if let momentum = schedule.momentum(step: stepCount) { group.momentum = momentum }
        }
    }
}
