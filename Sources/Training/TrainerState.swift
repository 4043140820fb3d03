import Autograd
import GraphIR
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
        let moving = model.module.movingState()
        var weights: [String: NDArray] = [:]
        var bestWeights: [String: NDArray] = [:]
        for (name, value, tensor) in moving {
            weights[name] = tensor.array
            bestWeights[name] = best?.state[value]
        }
        return Checkpoint(state: state, weights: weights, best: bestWeights, optimizer: optimizerState.arrays)
    }

    /// Goes on from `checkpoint`, which a trainer of the same model and settings made.
    ///
    /// Throws `CheckpointError.mismatch` when its tensors are not those that this trainer moves, `OptimizerError` when its
    /// optimizer is another.
    public func restore(_ checkpoint: Checkpoint) throws {
        let state = checkpoint.state
        for epoch in 1..<(state.epoch + (state.position.hasBegun ? 1 : 0)) { try unfreeze(beforeEpoch: epoch) }
        let moving = model.module.movingState()
        let hasBest = state.bestEpoch != nil
        for (name, _, tensor) in moving {
            for weights in hasBest ? [checkpoint.weights, checkpoint.best] : [checkpoint.weights] {
                guard let array = weights[name], array.shape == tensor.shape, array.dtype == tensor.dtype else {
                    throw CheckpointError.mismatch("it lacks '\(name)' as \(tensor.dtype) \(tensor.shape)")
                }
            }
        }
        guard checkpoint.weights.count == moving.count else {
            throw CheckpointError.mismatch(
                "it holds \(checkpoint.weights.count) trained tensors, the run has \(moving.count)")
        }
        try optimizer.load(stateDict: OptimizerState(arrays: checkpoint.optimizer, scalars: state.optimizer))
        scheduler.state = state.scheduler
        try noGrad {
            for (name, _, tensor) in moving {
                if let array = checkpoint.weights[name] { try tensor.mutate { $0 = array } }
            }
        }
        resume(at: state, best: hasBest ? bestState(checkpoint, moving) : nil)
    }

    private func bestState(_ checkpoint: Checkpoint, _ moving: [MovingTensor]) -> [ValueID: NDArray] {
        var snapshot = model.module.snapshot()
        for (name, value, _) in moving { snapshot[value] = checkpoint.best[name] }
        return snapshot
    }
}

/// A tensor that training may change, under its name in the file.
typealias MovingTensor = (name: String, value: ValueID, tensor: Tensor)

extension GraphModule {
    /// Unfrozen parameters, and running statistics where batch norms follow the batch.
    func movingState() -> [MovingTensor] {
        let followsBatch = modules().contains { ($0 as? BatchNorm2d)?.frozenStatistics == false }
        return state().compactMap { value, tensor in
            guard tensor.requiresGrad || (followsBatch && tensor is Buffer) else { return nil }
            return (graph.values[value].name, value, tensor)
        }
    }

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
