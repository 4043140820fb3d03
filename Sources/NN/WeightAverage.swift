import Autograd
import Operators
import TensorCore

/// A running average of a module's weights, which often predicts better than the last ones.
///
/// ```swift
/// let average = WeightAverage(net, .exponential(decay: 0.999))
/// // after each optimizer step
/// try average.update()
/// // to evaluate
/// let accuracy = try average.withAverage { try evaluate(net) }
/// ```
/// The first `update` takes the weights as they are. Source: `torch.optim.swa_utils.AveragedModel`.
public final class WeightAverage {
    /// How much a new set of weights counts.
    public enum Rule: Sendable {
        /// a ← decay · a + (1 − decay) · w: EMA.
        case exponential(decay: Double)
        /// a ← a + (w − a) / (n + 1): the mean of all, SWA.
        case equal
    }

    private let module: Module
    public let rule: Rule
    /// Whether running statistics are averaged too; otherwise they are the module's at the last update.
    public let averagesBuffers: Bool
    /// How often `update` was called.
    public private(set) var count = 0
    /// The averages under the names of the module's state.
    public private(set) var state: StateDict

    /// An average over no weights yet; until the first `update` its state is the module's.
    public init(_ module: Module, _ rule: Rule, averagesBuffers: Bool = false) {
        self.module = module
        self.rule = rule
        self.averagesBuffers = averagesBuffers
        state = module.stateDict()
    }

    /// Takes the module's present weights into the average.
    public func update() throws {
        let present = module.stateDict()
        defer { count += 1 }
        guard count > 0 else {
            state = present
            return
        }
        let share =
            switch rule {
            case .exponential(let decay): 1 - decay
            case .equal: 1 / Double(count + 1)
            }
        let parameters = Set(module.namedParameters().map(\.name))
        for (name, value) in present {
            guard parameters.contains(name) || averagesBuffers, value.dtype.isFloatingPoint, let old = state[name]
            else {
                state[name] = value
                continue
            }
            // Out of the dictionary while it changes, so that it is written where it lies.
            state[name] = value
            var average = old
            try average.addInPlace(NDArray.binary(.sub, value, old), scale: share)
            state[name] = average
        }
    }

    /// Runs `body` with the averages in the module's place; its own weights come back, whether `body` throws or not.
    public func withAverage<R>(_ body: () throws -> R) throws -> R { try module.withState(state, body) }
}

/// Computes the running statistics of every batch norm in `module` anew, as means over `batches`: averaged weights need their
/// own.
///
/// Modes come back afterwards. Source: `torch.optim.swa_utils.update_bn`.
public func updateBatchNorm(_ module: Module, batches: some Sequence<Tensor>) throws {
    let norms = module.modules().compactMap { $0 as? BatchNorm }
    guard !norms.isEmpty else { return }
    let before = (
        modes: module.modules().map { ($0, $0.isTraining) }, norms: norms.map { ($0.momentum, $0.frozenStatistics) }
    )
    defer {
        for (module, isTraining) in before.modes { module.setMode(isTraining) }
        for (norm, (momentum, isFrozen)) in zip(norms, before.norms) {
            (norm.momentum, norm.frozenStatistics) = (momentum, isFrozen)
        }
    }
    try noGrad {
        for norm in norms {
            norm.frozenStatistics = false
            try norm.runningMean.zero_()
            try norm.runningVar.fill_(1)
            try norm.numBatchesTracked?.zero_()
        }
        module.train()
        for (index, batch) in batches.enumerated() {
            for norm in norms { norm.momentum = 1 / Double(index + 1) }
            _ = try module(batch)
        }
    }
}
