import Foundation
import TensorCore

/// One cycle: the rate rises from maximum / `divFactor` to its maximum and falls to (maximum / `divFactor`) /
/// `finalDivFactor`; the momentum moves the other way.
///
/// Source: `torch.optim.lr_scheduler.OneCycleLR`.
public struct OneCycleLR: Schedule {
    /// The curve between two turning points.
    public enum Annealing: Sendable {
        case cosine
        case linear
    }

    public var totalSteps: Int
    /// The highest rate; nil takes each group's own.
    public var maximum: Double?
    /// Part of the steps spent rising.
    public var risingFraction = 0.3
    public var annealing = Annealing.cosine
    public var divFactor = 25.0
    public var finalDivFactor = 1e4
    /// Falls to the initial rate as slowly as it rose, and only then to the final one.
    public var threePhase = false
    /// The momentum at the highest rate and at both ends; nil leaves it alone.
    public var momentumRange: ClosedRange<Double>? = 0.85...0.95

    /// A cycle of `totalSteps` steps, at least 2.
    public init(totalSteps: Int, maximum: Double? = nil) {
        demand(totalSteps > 1, "totalSteps must be at least 2")
        self.totalSteps = totalSteps
        self.maximum = maximum
    }

    public var length: Int? { totalSteps }

    public func learningRate(step: Int, initial: Double) -> Double {
        let highest = maximum ?? initial
        let first = highest / divFactor
        return value(step, from: first, at: highest, to: first / finalDivFactor)
    }

    public func momentum(step: Int) -> Double? {
        guard let range = momentumRange else { return nil }
        return value(step, from: range.upperBound, at: range.lowerBound, to: range.upperBound)
    }

    private func value(_ step: Int, from start: Double, at peak: Double, to end: Double) -> Double {
        let rise = risingFraction * Double(totalSteps) - 1
        let last = Double(totalSteps) - 1
        var turns = [(0, start), (rise, peak), (last, end)]
        if threePhase { turns.insert((2 * rise, start), at: 2) }
        // The phase that the step lies in; past the end the last one goes on.
        let phase = turns.dropFirst().dropLast().firstIndex { Double(step) <= $0.0 } ?? turns.count - 1
        let (from, to) = (turns[phase - 1], turns[phase])
        let width = to.0 - from.0
        let fraction = width == 0 ? 1 : (Double(step) - from.0) / width
        switch annealing {
        case .cosine: return to.1 + (from.1 - to.1) / 2 * (1 + cos(Double.pi * fraction))
        case .linear: return from.1 + (to.1 - from.1) * fraction
        }
    }
}
