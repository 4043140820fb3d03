import Autograd
import Dispatch
import Files
import Foundation
import NN
import Reports
import Synchronization
import TensorCore
import Vision

/// What a run has to say about itself, gathered once: the page, the curves, the pictures and the events are made of it.
public struct RunReport: Sendable {
    /// A validation picture and what the best weights take it for.
    public struct Outcome: Sendable {
        public var path: String
        public var label: Int
        public var guess: Int
        /// Of the guess, by softmax.
        public var probability: Double
        public var isRight: Bool { guess == label }
    }

    /// One layer with parameters.
    public struct LayerState: Sendable {
        public var path: String
        public var `operator`: String
        /// Numbers in its parameters, and how many of them were trained.
        public var elements: Int
        public var trained: Int
    }

    /// An outcome with its picture as the model sees it.
    public struct Shown: Sendable {
        public var outcome: Outcome
        public var picture: Picture
    }

    public let settings: RunSettings
    public let classes: [String]
    /// Pictures of each class.
    public let trainCounts: [Int]
    public let valCounts: [Int]
    public let history: [EpochRecord]
    public let bestEpoch: Int
    /// False for a run that was stopped and can be gone on with.
    public let isFinished: Bool
    public let outcomes: [Outcome]
    public let layers: [LayerState]
    /// The wrong guesses that the model is surest of.
    public let mistakes: [Shown]
    /// Some validation pictures, drawn by the run's seed.
    public let samples: [Shown]
    /// What was noted before training, and pictures left out since.
    public let notes: [String]
    /// Names and values for the page's last section.
    let facts: [(name: String, value: String)]

    private static let mistakeCount = 12
    private static let sampleCount = 21

    /// Looks at the validation pictures once more with the best weights; the run's own weights stay as they are.
    ///
    /// Nil when no epoch is complete. Throws what validation throws.
    public init?(_ run: FineTuneRun) throws {
        guard let best = run.trainer.best else { return nil }
        settings = run.settings
        classes = run.data.classes
        trainCounts = run.data.train.classCounts
        valCounts = run.data.val.classCounts
        history = run.trainer.history
        bestEpoch = best.epoch
        isFinished = run.trainer.isFinished
        outcomes = try run.outcomes(with: best)
        layers = run.layerStates()
        _ = run.pictureNotes(waiting: true)
        notes = run.notes + run.skippedPictures.map { "left out: \($0)" }
        facts = run.facts()
        var random = RandomSource(seed: settings.seed).split("report")
        let order = random.permutation(outcomes.count).prefix(RunReport.sampleCount).sorted()
        let wrong = outcomes.filter { !$0.isRight }.sorted { $0.probability > $1.probability }
        mistakes = run.shown(Array(wrong.prefix(RunReport.mistakeCount)))
        samples = run.shown(order.map { [outcomes] in outcomes[$0] })
    }

    public var best: EpochRecord? { history.first { $0.epoch == bestEpoch } }
    public var correct: Int { outcomes.count(where: \.isRight) }
    /// Seconds spent in epochs.
    public var seconds: Double { history.reduce(0) { $0 + $1.seconds } }
}

extension FineTuneRun {
    /// What `best` takes each validation picture for; the present weights are put back.
    fileprivate func outcomes(with best: Trainer.Best) throws -> [RunReport.Outcome] {
        let wasTraining = module.isTraining
        module.eval()
        defer { module.train(wasTraining) }
        return try module.withState(best.state) { try outcomes() }
    }

    /// What the module, as it is, takes each validation picture for.
    private func outcomes() throws -> [RunReport.Outcome] {
        var outcomes: [RunReport.Outcome] = []
        let batches = try trainer.val.epoch(0)
        while let batch = try batches.next() {
            let logits = try noGrad { try trainer.model.logits(batch.features) }.array
            let probabilities = try logits.softmax(axis: 1, log: false)
            let guesses = try logits.argMax(axis: 1, keepDims: false).integers()
            for row in batch.labels.indices {
                outcomes.append(
                    RunReport.Outcome(
                        path: data.val.samples[batch.indices[row]].path, label: batch.labels[row],
                        guess: guesses[row], probability: probabilities.rows(row..<row + 1).doubles()[guesses[row]]))
            }
        }
        return outcomes
    }

    fileprivate func layerStates() -> [RunReport.LayerState] {
        module.layers.map { layer in
            let parameters = layer.parameters.compactMap { module.parameter(of: $0.root) }
            return RunReport.LayerState(
                path: layer.path, operator: module.graph.nodes[layer.nodes[0]].opType,
                elements: parameters.reduce(0) { $0 + $1.count },
                trained: parameters.filter(\.requiresGrad).reduce(0) { $0 + $1.count })
        }
    }

    /// The pictures of `outcomes`, cut as validation cuts them; one that cannot be read any more is left out.
    fileprivate func shown(_ outcomes: [RunReport.Outcome]) -> [RunReport.Shown] {
        let transform = trainer.val.loader.transform
        let limits = trainer.val.loader.configuration.limits
        let pictures = Mutex([Int: Picture]())
        DispatchQueue.concurrentPerform(iterations: outcomes.count) { index in
            guard let picture = try? Picture(contentsOf: outcomes[index].path, limits: limits) else { return }
            var random = RandomSource(seed: 0)
            let seen = transform.apply(to: picture, using: &random).rendered()
            pictures.withLock { $0[index] = seen.fitted(within: RunReport.thumbnail) }
        }
        let found = pictures.withLock { $0 }
        return outcomes.indices.compactMap { index in
            found[index].map { RunReport.Shown(outcome: outcomes[index], picture: $0) }
        }
    }
}

extension RunReport {
    /// Twice the size that a page shows, for fine screens.
    fileprivate static let thumbnail = PictureSize(width: 224, height: 224)
}
