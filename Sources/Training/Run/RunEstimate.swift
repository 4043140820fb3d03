import Autograd
import Foundation
import NN
import TensorCore
import Vision

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// What a run will take, from a few of its own steps: what `--dry-run` prints.
public struct RunEstimate: Encodable, Sendable {
    public var stepsPerEpoch: Int
    public var validationStepsPerEpoch: Int
    public var firstEpochSeconds: Double
    /// Of every epoch but the first.
    public var epochSeconds: Double
    public var totalSeconds: Double
    public var memoryMb: Double

    enum CodingKeys: String, CodingKey {
        case stepsPerEpoch = "steps_per_epoch"
        case validationStepsPerEpoch = "validation_steps_per_epoch"
        case firstEpochSeconds = "first_epoch_seconds"
        case epochSeconds = "epoch_seconds"
        case totalSeconds = "total_seconds"
        case memoryMb = "memory_mb"
    }
}

extension FineTuneRun {
    /// Measures two steps of each phase on the run's own pictures. They move the weights: the run is not to be trained after.
    public func estimate() throws -> RunEstimate {
        let train = try measure(.train)
        let val = try measure(.val)
        let first = train.first + val.first
        let later = train.later + val.later
        let trained = module.parameters().filter(\.requiresGrad).reduce(0) { $0 + $1.array.byteCount }
        // Beside what the steps took: features of all pictures, and the best weights.
        let bytes = train.featureBytes + val.featureBytes + trained
        return RunEstimate(
            stepsPerEpoch: trainer.train.batchCount, validationStepsPerEpoch: trainer.val.batchCount,
            firstEpochSeconds: first, epochSeconds: later, totalSeconds: first + later * Double(settings.epochs - 1),
            memoryMb: ProcessMemory.peakMegabytes + Double(bytes) / 1_048_576)
    }

    /// Seconds of a phase in the first epoch and in later ones, and the memory that kept features take.
    private func measure(_ phase: Phase) throws -> (first: Double, later: Double, featureBytes: Int) {
        let stream = phase == .train ? trainer.train : trainer.val
        let loader = stream.loader
        let count = min(loader.configuration.batchSize, loader.dataset.count)
        let order = loader.order(ofEpoch: 1)
        var (prefix, step) = (0.0, 0.0)
        var bytes = 0
        // The second round counts: the first one pays for pages, pools and packed weights.
        for round in 0..<2 {
            let start = min(round * count, order.count - count)
            let clock = ContinuousClock()
            let begin = clock.now
            guard let batch = try loader.batch(at: Array(order[start..<start + count])) else { continue }
            let features = try trainer.model.features(loaded.input.arrange(batch.images))
            let middle = clock.now
            try trainer.trial(
                phase, FeatureBatch(features: features, labels: batch.labels, indices: batch.indices))
            (prefix, step) = ((middle - begin) / .seconds(1), (clock.now - middle) / .seconds(1))
            bytes = features.reduce(0) { $0 + $1.byteCount } / max(batch.count, 1) * loader.dataset.count
        }
        let batches = Double(stream.batchCount)
        let keeps = loader.transform.isDeterministic && trainer.model.hasPrefix
        return (batches * (prefix + step), batches * (keeps ? step : prefix + step), keeps ? bytes : 0)
    }
}

/// What this process takes.
public enum ProcessMemory {
    /// The most memory that it has had so far, in MiB.
    public static var peakMegabytes: Double {
        var usage = rusage()
        // The C enumeration and the function's parameter differ in type; 0 is RUSAGE_SELF everywhere.
        getrusage(0, &usage)
        return Double(usage.ru_maxrss) / 1024
    }
}
