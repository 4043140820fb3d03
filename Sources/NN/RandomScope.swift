import Synchronization
import TensorCore

/// Seeds every layer that `body` makes without a random source of its own, so that the same code makes the same weights.
///
/// ```swift
/// let net = try withRandomSeed(0) { Net() }
/// ```
/// Scoped to the task: nests, and never leaks into another. Source: `torch.manual_seed`.
public func withRandomSeed<R>(_ seed: UInt64, _ body: () throws -> R) rethrows -> R {
    try RandomScope.$current.withValue(RandomScope(seed: seed), operation: body)
}

/// Hands every layer made in its scope a stream of its own.
final class RandomScope: Sendable {
    @TaskLocal static var current: RandomScope?

    private let source: RandomSource
    private let layersMade = Atomic<Int>(0)

    private init(source: RandomSource) { self.source = source }

    convenience init(seed: UInt64) { self.init(source: RandomSource(seed: seed)) }

    /// The scope's next stream; outside of any scope an unpredictable one.
    static func next() -> RandomSource {
        guard let current else {
            var system = SystemRandomNumberGenerator()
            return RandomSource(seed: system.next())
        }
        return current.source.split(current.layersMade.wrappingAdd(1, ordering: .relaxed).newValue)
    }
}
