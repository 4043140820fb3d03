import Autograd
import GraphIR
import NN
import Operators
import Optim
import TensorCore

/// Half of an epoch.
public enum Phase: String, Sendable, Codable {
    case train, val
}

/// Where a run is, told after every batch.
public struct Progress: Sendable {
    /// Counted from 1.
    public var epoch: Int
    public var phase: Phase
    public var batch: Int
    public var batchCount: Int
    /// Batches done and to do in this epoch, both phases.
    public var batchOfEpoch: Int
    public var batchesOfEpoch: Int
    /// So far in this phase.
    public var result: PhaseResult
}

/// What can go wrong while training.
public enum TrainingError: Error, CustomStringConvertible {
    case lossNotFinite(loss: Double, epoch: Int, batch: Int)
    case noPictures(Phase)

    public var description: String {
        switch self {
        case .lossNotFinite(let loss, let epoch, let batch):
            "the loss became \(loss) in epoch \(epoch), batch \(batch): lower the learning rate (--lr), or clip gradients "
                + "(--clip-norm 1)"
        case .noPictures(let phase): "no picture of the \(phase.rawValue) set could be read"
        }
    }
}

/// The transfer-learning tutorial's loop: phases train and val each epoch, the best validation weights kept.
///
/// Source: PyTorch, "Transfer Learning for Computer Vision Tutorial", `train_model`.
public final class Trainer {
    public struct Options: Sendable {
        public var epochs = 25
        /// Scales gradients down to this norm.
        public var clipNorm: Double?
        public var labelSmoothing = 0.0
        /// Weight of each class in the loss.
        public var classWeights: [Double]?
        public init() {}
    }

    /// The weights that did best on the validation pictures.
    public struct Best {
        public var epoch: Int
        public var accuracy: Double
        public var state: [ValueID: NDArray]
    }

    public let model: CutModel
    public let optimizer: Optimizer
    public let scheduler: LearningRateScheduler
    public let options: Options
    private let train: FeatureStream
    private let val: FeatureStream
    private let lossFunction: CrossEntropyLoss

    public private(set) var history: [EpochRecord] = []
    public private(set) var best: Best?

    public init(
        model: CutModel, train: FeatureStream, val: FeatureStream, optimizer: Optimizer, schedule: some Schedule,
        options: Options = Options()
    ) {
        self.model = model
        self.train = train
        self.val = val
        self.optimizer = optimizer
        self.options = options
        scheduler = LearningRateScheduler(optimizer, schedule)
        lossFunction = CrossEntropyLoss(
            weight: options.classWeights.map { Tensor(NDArray($0.map { Float($0) })) },
            labelSmoothing: options.labelSmoothing)
    }

    /// Runs every remaining epoch, then puts the best weights back.
    ///
    /// - Parameters:
    ///   - onBatch: called after each batch.
    ///   - onEpoch: called after each epoch.
    public func run(onBatch: (Progress) throws -> Void = { _ in }, onEpoch: (EpochRecord) throws -> Void = { _ in })
        throws
    {
        while history.count < options.epochs {
            let record = try runEpoch(onBatch)
            history.append(record)
            if record.val.accuracy > best?.accuracy ?? -1 {
                best = Best(epoch: record.epoch, accuracy: record.val.accuracy, state: model.module.snapshot())
            }
            try onEpoch(record)
        }
        if let best { try model.module.restore(best.state) }
        model.module.eval()
    }

    private func runEpoch(_ onBatch: (Progress) throws -> Void) throws -> EpochRecord {
        let clock = ContinuousClock()
        let start = clock.now
        let epoch = history.count + 1
        let learningRate = optimizer.learningRate
        let trained = try run(.train, epoch, onBatch)
        try scheduler.step()
        let validated = try run(.val, epoch, onBatch)
        let elapsed = (clock.now - start).components
        return EpochRecord(
            epoch: epoch, train: trained, val: validated, learningRate: learningRate,
            seconds: Double(elapsed.seconds) + Double(elapsed.attoseconds) * 1e-18)
    }

    private func run(_ phase: Phase, _ epoch: Int, _ onBatch: (Progress) throws -> Void) throws -> PhaseResult {
        model.module.train(phase == .train)
        let stream = phase == .train ? train : val
        let batches = try stream.epoch(epoch)
        var statistics = PhaseStatistics()
        var number = 0
        while let batch = try batches.next() {
            number += 1
            try step(phase, batch, &statistics) { loss in
                TrainingError.lossNotFinite(loss: loss, epoch: epoch, batch: number)
            }
            try onBatch(
                Progress(
                    epoch: epoch, phase: phase, batch: number, batchCount: stream.batchCount,
                    batchOfEpoch: number + (phase == .val ? train.batchCount : 0),
                    batchesOfEpoch: train.batchCount + val.batchCount, result: statistics.result))
        }
        guard statistics.count > 0 else { throw TrainingError.noPictures(phase) }
        return statistics.result
    }

    private func step(
        _ phase: Phase, _ batch: FeatureBatch, _ statistics: inout PhaseStatistics,
        _ notFinite: (Double) -> TrainingError
    ) throws {
        optimizer.zeroGrad()
        let (loss, logits) = try setGradEnabled(phase == .train) {
            let logits = try model.logits(batch.features)
            return (try lossFunction(logits, batch.labels), logits)
        }
        let value = loss.item()
        guard value.isFinite else { throw notFinite(value) }
        if phase == .train {
            try loss.backward()
            if let clipNorm = options.clipNorm {
                try clipGradientNorm(optimizer.groups.flatMap(\.parameters), maxNorm: clipNorm)
            }
            try optimizer.step()
        }
        let predictions = try logits.array.argMax(axis: 1, keepDims: false).integers()
        statistics.add(loss: value, predictions: predictions, labels: batch.labels)
    }
}

extension GraphModule {
    /// Values of every parameter and buffer, by the constant each came from.
    public func snapshot() -> [ValueID: NDArray] {
        Dictionary(uniqueKeysWithValues: state().map { ($0.value, $0.tensor.array) })
    }

    /// Puts the values of a snapshot back.
    public func restore(_ snapshot: [ValueID: NDArray]) throws {
        try noGrad {
            for (value, tensor) in state() {
                if let array = snapshot[value] { try tensor.mutate { $0 = array } }
            }
        }
    }
}
