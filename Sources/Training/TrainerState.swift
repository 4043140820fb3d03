import NN
import Optim
import TensorCore

/// Where a run stands between two batches. With the weights of its `Checkpoint`, all that going on needs.
public struct TrainerState: Codable, Sendable, Equatable {
    /// A place within an epoch.
    public struct Position: Codable, Sendable, Equatable {
        /// True once the epoch's own changes (layers that join) have been made.
        public var hasBegun = false
        public var phase = Phase.train
        /// Batches of the phase that are done.
        public var batch = 0
        /// The phase so far.
        public var statistics = PhaseStatistics()
        /// The epoch's training phase, once it is over.
        public var trained: PhaseResult?
        /// The rate that the epoch trains with.
        public var learningRate = 0.0
        /// Seconds that the epoch took so far.
        public var seconds = 0.0

        public init() {}
    }

    /// Epochs that are done.
    public var history: [EpochRecord] = []
    /// Within the epoch after those.
    public var position = Position()
    /// Epoch and accuracy of the best weights.
    public var bestEpoch: Int?
    public var bestAccuracy: Double?
    public var scheduler: LearningRateScheduler.State
    /// Scalars of the optimizer's state.
    public var optimizer: [String: Double]

    /// The epoch being run, counted from 1.
    public var epoch: Int { history.count + 1 }
}

extension Trainer {
    /// Everything that going on from here needs beside the model and the pictures. Call it between batches only.
    public func checkpoint() -> Checkpoint {
        let optimizerState = optimizer.stateDict()
        let state = TrainerState(
            history: history, position: position, bestEpoch: best?.epoch, bestAccuracy: best?.accuracy,
            scheduler: scheduler.state, optimizer: optimizerState.scalars)
        let (names, present) = (model.module.movingNames, model.module.stateDict())
        func moving(_ state: StateDict) -> [String: NDArray] {
            names.reduce(into: [:]) { $0[$1] = state[$1] }
        }
        return Checkpoint(
            state: state, weights: moving(present), best: best.map { moving($0.state) } ?? [:],
            optimizer: optimizerState.arrays)
    }

    /// Goes on from `checkpoint`, which a trainer of the same model and settings made.
    ///
    /// Throws `CheckpointError.mismatch` when its tensors are not those that this trainer moves, `OptimizerError` when its
    /// optimizer is another.
    public func restore(_ checkpoint: Checkpoint) throws {
        let state = checkpoint.state
        for epoch in 1..<(state.epoch + (state.position.hasBegun ? 1 : 0)) { try unfreeze(beforeEpoch: epoch) }
        let (names, present) = (model.module.movingNames, model.module.stateDict())
        guard checkpoint.weights.count == names.count else {
            throw CheckpointError.mismatch(
                "it holds \(checkpoint.weights.count) trained tensors, the run has \(names.count)")
        }
        func complete(_ moved: [String: NDArray]) throws -> StateDict {
            try names.reduce(into: present) { state, name in
                guard let array = moved[name], let own = state[name], array.shape == own.shape, array.dtype == own.dtype
                else { throw CheckpointError.mismatch("it lacks '\(name)' as the model has it") }
                state[name] = array
            }
        }
        let weights = try complete(checkpoint.weights)
        let best = state.bestEpoch == nil ? nil : try complete(checkpoint.best)
        try optimizer.load(stateDict: OptimizerState(arrays: checkpoint.optimizer, scalars: state.optimizer))
        scheduler.state = state.scheduler
        try model.module.load(stateDict: weights)
        resume(at: state, best: best)
    }
}

extension Module {
    /// What training may change: unfrozen parameters, and running statistics of batch norms that follow the batch.
    fileprivate var movingNames: [String] {
        let following = namedModules().filter { ($1 as? BatchNorm2d)?.frozenStatistics == false }
        return namedParameters().filter(\.parameter.requiresGrad).map(\.name)
            + following.flatMap { path, norm in norm.namedBuffers().map { "\(path).\($0.name)" } }
    }
}
