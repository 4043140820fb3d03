/// Lowers the learning rates when a measure has stopped improving: `step(loss)` once per epoch.
///
/// After more than `patience` steps in a row without improvement each rate becomes max(rate · factor, minimum).
/// Source: `torch.optim.lr_scheduler.ReduceLROnPlateau`.
public final class ReduceLROnPlateau {
    /// Which way the measure improves.
    public enum Mode: String, Sendable, Codable {
        /// As a loss.
        case min
        /// As an accuracy.
        case max
    }

    /// What counts as an improvement.
    public enum Threshold: Sendable {
        /// By this part of the best value.
        case relative(Double)
        /// By this amount.
        case absolute(Double)
    }

    /// What continuing needs beside the optimizer's own state.
    public struct State: Sendable, Codable, Equatable {
        public var best: Double?
        /// Steps in a row without improvement.
        public var badSteps = 0
        /// Steps for which bad ones are still not counted.
        public var cooldown = 0
        public init() {}
    }

    public let optimizer: Optimizer
    public var state = State()
    private let mode: Mode
    private let factor: Double
    private let patience: Int
    private let threshold: Threshold
    private let cooldown: Int
    private let minimum: Double
    private let epsilon: Double

    /// - `cooldown`: steps after a reduction in which bad ones do not count.
    /// - `epsilon`: rates that would change by less are left alone.
    /// - Throws: `OptimizerError.invalidSetting` unless the factor lies in 0 ..< 1.
    public init(
        _ optimizer: Optimizer, mode: Mode = .min, factor: Double = 0.1, patience: Int = 10,
        threshold: Threshold = .relative(1e-4), cooldown: Int = 0, minimum: Double = 0, epsilon: Double = 1e-8
    ) throws {
        guard (0..<1).contains(factor) else {
            throw OptimizerError.invalidSetting(
                optimizer: "ReduceLROnPlateau", setting: "factor", value: factor, expected: "a number in 0..<1")
        }
        self.optimizer = optimizer
        self.mode = mode
        self.factor = factor
        self.patience = patience
        self.threshold = threshold
        self.cooldown = cooldown
        self.minimum = minimum
        self.epsilon = epsilon
    }

    /// Looks at the measure after an epoch. NaN is no improvement.
    public func step(_ measure: Double) {
        if isBetter(measure) {
            state.best = measure
            state.badSteps = 0
        } else {
            state.badSteps += 1
        }
        if state.cooldown > 0 {
            state.cooldown -= 1
            state.badSteps = 0
        }
        guard state.badSteps > patience else { return }
        for group in optimizer.groups {
            let rate = max(group.learningRate * factor, minimum)
            if group.learningRate - rate > epsilon { group.learningRate = rate }
        }
        state.cooldown = cooldown
        state.badSteps = 0
    }

    private func isBetter(_ measure: Double) -> Bool {
        guard let best = state.best else { return !measure.isNaN }
        return switch (mode, threshold) {
        case (.min, .relative(let part)): measure < best * (1 - part)
        case (.min, .absolute(let amount)): measure < best - amount
        case (.max, .relative(let part)): measure > best * (1 + part)
        case (.max, .absolute(let amount)): measure > best + amount
        }
    }
}
