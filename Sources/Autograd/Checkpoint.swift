import TensorCore

/// Runs `body` keeping none of the values that its gradient needs; backward runs it again to get them.
///
/// Gradients equal those without a checkpoint bit for bit, for inputs and for parameters that `body` captures. `body` must do
/// the same work each time: no changing state, no unseeded random numbers.
///
/// Source: `torch.utils.checkpoint` (`use_reentrant=False`).
public func checkpoint<R>(_ body: @escaping () throws -> R) throws -> R {
    guard GradMode.isEnabled, CheckpointFrame.current == nil else { return try body() }
    let frame = CheckpointFrame { _ = try body() }
    return try CheckpointFrame.$current.withValue(frame, operation: body)
}

/// Runs `body` once even where a checkpoint runs the surrounding code again: the second time returns the first result.
///
/// For what must not be repeated inside `checkpoint`: drawing random numbers, updating running statistics. The checkpointed
/// body must call it the same number of times each time it runs.
public func onceInCheckpoint<R>(_ body: () throws -> R) throws -> R {
    guard let frame = CheckpointFrame.current else { return try body() }
    return try frame.once(body)
}

/// The values that a checkpointed body's operations saved, in order: first only counted, then recomputed when one is read.
final class CheckpointFrame: @unchecked Sendable {
    // Bound to a task-local only around `body`, on the task that owns the tensors: never used by two tasks at once.
    @TaskLocal static var current: CheckpointFrame?

    private var body: (() throws -> Void)?
    private var slotCount = 0
    private var values: [NDArray] = []
    private var isReplaying = false
    /// Results of `onceInCheckpoint`, in order, and how many of them the replay has used.
    private var results: [Any] = []
    private var resultsUsed = 0

    init(_ body: @escaping () throws -> Void) { self.body = body }

    /// Reserves the next slot; keeps `array` only while replaying.
    func save(_ array: NDArray) -> Int {
        if isReplaying {
            values.append(array)
            return values.count - 1
        }
        slotCount += 1
        return slotCount - 1
    }

    func once<R>(_ body: () throws -> R) throws -> R {
        if !isReplaying {
            let result = try body()
            results.append(result)
            return result
        }
        guard resultsUsed < results.count, let result = results[resultsUsed] as? R else {
            throw AutogradError.checkpointDiverged(expected: results.count, actual: resultsUsed + 1)
        }
        resultsUsed += 1
        return result
    }

    /// The value of `slot`, running the body again the first time.
    func value(_ slot: Int) throws -> NDArray {
        if values.isEmpty, let body {
            isReplaying = true
            resultsUsed = 0
            defer { isReplaying = false }
            try CheckpointFrame.$current.withValue(self) { try enableGrad(body) }
            guard values.count == slotCount else {
                let actual = values.count
                values = []
                throw AutogradError.checkpointDiverged(expected: slotCount, actual: actual)
            }
        }
        guard slot < values.count else {
            throw AutogradError.checkpointDiverged(expected: slotCount, actual: values.count)
        }
        return values[slot]
    }
}
