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
    case notFinite(NotFinite)
    case noPictures(Phase)

    public var description: String {
        switch self {
        case .notFinite(let report): report.description
        case .noPictures(let phase): "no picture of the \(phase.rawValue) set could be read"
        }
    }
}

/// Layers that join training in the course of it.
public struct GradualUnfreezing {
    /// Patterns to unfreeze before an epoch, counted from 1.
    public var steps: [Int: [String]]
    /// Optimizer groups for parameters that have just become trainable.
    public var group: ([Parameter]) throws -> [ParameterGroup]

    public init(steps: [Int: [String]], group: @escaping ([Parameter]) throws -> [ParameterGroup]) {
        self.steps = steps
        self.group = group
    }
}

/// The transfer-learning tutorial's loop: phases train and val each epoch, the best validation weights kept.
///
/// Between two batches, which is where the callbacks of `run` are, a `checkpoint()` can be taken; a trainer made in the same
/// way goes on from it to the same weights, bit for bit.
/// Source: PyTorch, "Transfer Learning for Computer Vision Tutorial", `train_model`.
public final class Trainer {
    /// What the loop does beside the tutorial's.
    public struct Options: Sendable {
        public var epochs = 25
        /// Stops after so many epochs without a better validation accuracy.
        public var patience: Int?
        /// Scales gradients down to this norm.
        public var clipNorm: Double?
        public var labelSmoothing = 0.0
        /// Weight of each class in the loss.
        public var classWeights: [Double]?
        /// Dropout's zeros follow from it, the epoch and the batch.
        public var seed: UInt64 = 0
        /// The tutorial's.
        public init() {}
    }

    /// The weights that did best on the validation pictures.
    public struct Best {
        public var epoch: Int
        public var accuracy: Double
        public var state: StateDict
    }

    public let model: CutModel
    public let optimizer: Optimizer
    public let scheduler: LearningRateScheduler
    public let options: Options
    let train: FeatureStream
    let val: FeatureStream
    private let unfreezing: GradualUnfreezing?
    private let lossFunction: CrossEntropyLoss

    public private(set) var history: [EpochRecord] = []
    public private(set) var best: Best?
    /// Where the epoch after those of `history` stands.
    public var position: TrainerState.Position {
        var result = place
        if let resumed { result.seconds += (ContinuousClock.now - resumed) / .seconds(1) }
        return result
    }
    private var place = TrainerState.Position()
    /// When this process began or took up the epoch.
    private var resumed: ContinuousClock.Instant?

    public init(
        model: CutModel, train: FeatureStream, val: FeatureStream, optimizer: Optimizer, schedule: some Schedule,
        options: Options = Options(), unfreezing: GradualUnfreezing? = nil
    ) {
        self.model = model
        self.train = train
        self.val = val
        self.optimizer = optimizer
        self.options = options
        self.unfreezing = unfreezing
        scheduler = LearningRateScheduler(optimizer, schedule)
        lossFunction = CrossEntropyLoss(
            weight: options.classWeights.map { Tensor(NDArray($0.map { Float($0) })) },
            labelSmoothing: options.labelSmoothing)
        reseedDropouts(epoch: 0, batch: 0)
    }

    private func reseedDropouts(epoch: Int, batch: Int) {
        model.module.reseedDropouts(RandomSource(seed: options.seed).split("dropout").split(epoch).split(batch))
    }

    /// True when no epoch remains, or when `patience` has run out.
    public var isFinished: Bool {
        if history.count >= options.epochs { return true }
        guard let patience = options.patience, let best else { return false }
        return history.count - best.epoch >= patience
    }

    /// Runs every remaining epoch, then puts the best weights back.
    ///
    /// - Parameters:
    ///   - onBatch: called after each batch; an error thrown here ends the run in a state that can be gone on from.
    ///   - onEpoch: called after each epoch; likewise.
    /// - Throws: `TrainingError.notFinite` when a loss or a gradient stops being a number, with weights as before that step.
    public func run(onBatch: (Progress) throws -> Void = { _ in }, onEpoch: (EpochRecord) throws -> Void = { _ in })
        throws
    {
        while !isFinished {
            let record = try runEpoch(onBatch)
            history.append(record)
            place = TrainerState.Position()
            if record.val.accuracy > best?.accuracy ?? -1 {
                best = Best(epoch: record.epoch, accuracy: record.val.accuracy, state: model.module.stateDict())
            }
            try onEpoch(record)
        }
        if let best { try model.module.load(stateDict: best.state) }
        model.module.eval()
    }

    private func runEpoch(_ onBatch: (Progress) throws -> Void) throws -> EpochRecord {
        resumed = .now
        defer { resumed = nil }
        let epoch = history.count + 1
        if !place.hasBegun {
            try unfreeze(beforeEpoch: epoch)
            place.hasBegun = true
            place.learningRate = optimizer.learningRate
        }
        if place.phase == .train {
            place.trained = try run(.train, epoch, onBatch)
            try scheduler.step()
            (place.phase, place.batch, place.statistics) = (.val, 0, PhaseStatistics())
        }
        let validated = try run(.val, epoch, onBatch)
        let done = position
        return EpochRecord(
            epoch: epoch, train: done.trained ?? PhaseResult(loss: 0, accuracy: 0), val: validated,
            learningRate: done.learningRate, seconds: done.seconds)
    }

    /// Runs the rest of a phase.
    private func run(_ phase: Phase, _ epoch: Int, _ onBatch: (Progress) throws -> Void) throws -> PhaseResult {
        model.module.train(phase == .train)
        let stream = phase == .train ? train : val
        let batches = try stream.epoch(epoch, from: place.batch)
        while let batch = try batches.next() {
            if phase == .train { reseedDropouts(epoch: epoch, batch: place.batch) }
            try step(phase, batch)
            place.batch = batches.position
            try onBatch(
                Progress(
                    epoch: epoch, phase: phase, batch: place.batch, batchCount: stream.batchCount,
                    batchOfEpoch: place.batch + (phase == .val ? train.batchCount : 0),
                    batchesOfEpoch: train.batchCount + val.batchCount, result: place.statistics.result))
        }
        guard place.statistics.count > 0 else { throw TrainingError.noPictures(phase) }
        return place.statistics.result
    }

    /// One step that belongs to no epoch: nothing is counted, but weights move. Returns its loss.
    @discardableResult
    func trial(_ phase: Phase, _ batch: FeatureBatch) throws -> Double {
        let here = place
        defer { place = here }
        model.module.train(phase == .train)
        return try step(phase, batch)
    }

    @discardableResult
    private func step(_ phase: Phase, _ batch: FeatureBatch) throws -> Double {
        optimizer.zeroGrad()
        let (loss, logits) = try setGradEnabled(phase == .train) {
            let logits = try model.logits(batch.features)
            return (try lossFunction(logits, batch.labels), logits)
        }
        let value = loss.item()
        guard value.isFinite else { throw notFinite(.loss(value), phase, batch) }
        if phase == .train {
            try loss.backward()
            let parameters = optimizer.groups.flatMap(\.parameters)
            guard parameters.allSatisfy({ $0.grad?.array.allFinite() ?? true }) else {
                throw notFinite(.gradient, phase, batch)
            }
            if let clipNorm = options.clipNorm { try clipGradientNorm(parameters, maxNorm: clipNorm) }
            try optimizer.step()
        }
        let predictions = try logits.array.argMax(axis: 1, keepDims: false).integers()
        place.statistics.add(loss: value, predictions: predictions, labels: batch.labels)
        return value
    }

    private func notFinite(_ value: NotFinite.Value, _ phase: Phase, _ batch: FeatureBatch) -> TrainingError {
        .notFinite(
            NotFinite(
                value: value, epoch: history.count + 1, phase: phase, batch: place.batch + 1,
                place: model.firstNotFinite(batch.features, gradients: value == .gradient),
                learningRate: optimizer.learningRate, bestEpoch: best?.epoch))
    }

    /// Unfreezes what joins before `epoch`, as new groups of the optimizer, and cuts the model again.
    func unfreeze(beforeEpoch epoch: Int) throws {
        guard let unfreezing, let patterns = unfreezing.steps[epoch] else { return }
        let module = model.module
        let before = Set(module.parameters().filter(\.requiresGrad).map(ObjectIdentifier.init))
        try module.unfreeze(matching: patterns)
        let added = module.parameters().filter { $0.requiresGrad && !before.contains(ObjectIdentifier($0)) }
        guard !added.isEmpty else { return }
        for group in try unfreezing.group(added) { try optimizer.add(group) }
        scheduler.includeNewGroups()
        module.train()
        try model.recut()
    }

    /// Takes up a run where `state` left it, with weights, optimizer and schedule restored already.
    func resume(at state: TrainerState, best weights: StateDict?) {
        history = state.history
        place = state.position
        best = nil
        if let weights, let epoch = state.bestEpoch, let accuracy = state.bestAccuracy {
            best = Best(epoch: epoch, accuracy: accuracy, state: weights)
        }
    }
}
