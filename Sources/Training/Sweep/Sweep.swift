import Foundation
import NN
import Optim
import Vision

/// Many runs that differ in a few settings, sharing decoded pictures and the features of frozen layers.
///
/// Each run has the very result that it has alone. Settings are ranked by validation accuracy, the mean over seeds.
public struct Sweep: Sendable {
    /// A setting and the values it takes.
    public struct Axis: Sendable {
        /// The option's name without dashes: `lr`.
        public var name: String
        public var values: [Value]

        /// A value as a person wrote it, and what it does to the settings.
        public struct Value: Sendable {
            public var text: String
            public var apply: @Sendable (inout RunSettings) -> Void
            public init(_ text: String, _ apply: @escaping @Sendable (inout RunSettings) -> Void) {
                self.text = text
                self.apply = apply
            }
        }

        public init(_ name: String, _ values: [Value]) {
            self.name = name
            self.values = values
        }
    }

    /// One run.
    public struct Trial: Sendable, Encodable {
        public var seed: UInt64
        /// Nil for a run that broke off before its first epoch was complete.
        public var accuracy: Double?
        /// Validation loss of the best epoch.
        public var loss: Double?
        public var epoch: Int?
        public var seconds: Double
        /// Why it broke off.
        public var failure: String?
        public var history: [EpochRecord]
    }

    /// One combination of values with its runs.
    public struct Setting: Sendable, Encodable {
        /// A text for each axis, in the axes' order.
        public var values: [String]
        public var trials: [Trial]

        public var accuracies: [Double] { trials.compactMap(\.accuracy) }

        /// Mean of the best validation accuracy over seeds; nil when every run broke off.
        public var mean: Double? { accuracies.isEmpty ? nil : accuracies.reduce(0, +) / Double(accuracies.count) }

        /// Standard deviation over seeds, with n - 1; nil for fewer than two runs.
        public var spread: Double? {
            guard let mean, accuracies.count > 1 else { return nil }
            let squares = accuracies.map { ($0 - mean) * ($0 - mean) }
            return (squares.reduce(0, +) / Double(accuracies.count - 1)).squareRoot()
        }

        /// Mean validation loss at the best epochs.
        public var loss: Double? {
            let losses = trials.compactMap(\.loss)
            return losses.isEmpty ? nil : losses.reduce(0, +) / Double(losses.count)
        }

        public var seconds: Double { trials.reduce(0) { $0 + $1.seconds } }

        /// The run with the highest accuracy, of equal ones the first.
        public var best: Trial? {
            trials.filter { $0.accuracy != nil }.max { ($0.accuracy ?? 0) < ($1.accuracy ?? 0) }
        }

        private enum CodingKeys: String, CodingKey {
            case values, trials, mean, spread, loss, seconds
        }

        public func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(values, forKey: .values)
            try container.encode(trials, forKey: .trials)
            try container.encodeIfPresent(mean, forKey: .mean)
            try container.encodeIfPresent(spread, forKey: .spread)
            try container.encodeIfPresent(loss, forKey: .loss)
            try container.encode(seconds, forKey: .seconds)
        }
    }

    public let base: RunSettings
    public let axes: [Axis]
    public let seeds: [UInt64]

    /// - Parameters:
    ///   - base: what all runs have in common.
    ///   - axes: every combination of their values is run.
    ///   - seeds: every combination is run with each.
    public init(base: RunSettings, axes: [Axis], seeds: [UInt64]) {
        precondition(!seeds.isEmpty && axes.allSatisfy { !$0.values.isEmpty }, "a sweep needs values")
        self.base = base
        self.axes = axes
        self.seeds = seeds
    }

    public var settingCount: Int { axes.reduce(1) { $0 * $1.values.count } }
    public var runCount: Int { settingCount * seeds.count }

    /// Every combination, the last axis changing fastest.
    var combinations: [[Axis.Value]] {
        axes.reduce([[]]) { partial, axis in partial.flatMap { head in axis.values.map { head + [$0] } } }
    }

    func settings(_ combination: [Axis.Value], seed: UInt64) -> RunSettings {
        var settings = base
        for value in combination { value.apply(&settings) }
        settings.seed = seed
        return settings
    }

    /// Throws `SettingError` or `ParameterPatternError` for a combination that cannot be run.
    public func check() throws {
        let index = try LoadedModel(path: base.model).imported.module.parameterIndex
        for combination in combinations {
            let settings = settings(combination, seed: seeds[0])
            try settings.check()
            _ = try index.select(settings.unfreeze)
        }
    }

    /// Trains every combination with every seed.
    ///
    /// A run whose loss is not finite any more is noted and the sweep goes on. Any other error, also one of a callback, ends
    /// it: the result then holds the runs that are complete, and the error as its `interruption`.
    ///
    /// - Throws: what ends the sweep before a run is complete: what `FineTuneRun` throws, `RunStopped`.
    /// - Parameters:
    ///   - stop: asked after each batch; a signal number ends the sweep with `RunStopped`.
    ///   - onBatch: called after each batch with the number of complete runs and that run's progress.
    ///   - onTrial: called after each run.
    public func run(
        stop: () -> Int32? = { nil }, onBatch: (Int, Progress) throws -> Void = { _, _ in },
        onTrial: (Setting) throws -> Void = { _ in }
    ) throws -> SweepResult {
        let features = base.makeFeatureStore()
        let found = try FineTuneRun.findPictures(base)
        var result = SweepResult(axes: axes.map(\.name), seeds: seeds, settings: [])
        var done = 0
        for combination in combinations {
            var setting = Setting(values: combination.map(\.text), trials: [])
            var winner: FineTuneRun?
            do {
                for seed in seeds {
                    let (trial, run) = try train(settings(combination, seed: seed), features, found) { progress in
                        try onBatch(done, progress)
                        if let signal = stop() {
                            throw RunStopped(signal: signal, whereabouts: "in run \(done + 1) of \(runCount)")
                        }
                    }
                    done += 1
                    if let accuracy = trial.accuracy, accuracy > setting.best?.accuracy ?? -1 { winner = run }
                    setting.trials.append(trial)
                    try onTrial(setting)
                }
            } catch {
                guard done > 0 else { throw error }
                result.interruption = error
            }
            if !setting.trials.isEmpty { result.add(setting, winner) }
            if result.interruption != nil { break }
        }
        return result
    }

    private func train(
        _ settings: RunSettings, _ features: FeatureStore, _ found: FoundPictures,
        _ onBatch: (Progress) throws -> Void
    ) throws -> (Trial, FineTuneRun) {
        let start = ContinuousClock.now
        let run = try FineTuneRun(settings, features: features, found: found)
        var failure: String?
        do {
            try run.trainer.run(onBatch: onBatch)
        } catch let error as TrainingError {
            failure = "\(error)"
            if let best = run.trainer.best { try run.module.load(stateDict: best.state) }
        }
        let best = run.trainer.best
        let history = run.trainer.history
        let trial = Trial(
            seed: settings.seed, accuracy: best?.accuracy,
            loss: best.flatMap { best in history.first { $0.epoch == best.epoch }?.val.loss }, epoch: best?.epoch,
            seconds: (ContinuousClock.now - start) / .seconds(1), failure: failure, history: history)
        return (trial, run)
    }
}

/// What a sweep found.
public struct SweepResult {
    /// Names of the settings that vary.
    public let axes: [String]
    public let seeds: [UInt64]
    /// The best setting first: by mean accuracy, then by mean loss.
    public private(set) var settings: [Sweep.Setting]
    /// The best run of the best setting, with its best weights.
    public private(set) var winner: FineTuneRun?
    /// What ended the sweep before every run was complete.
    public internal(set) var interruption: (any Error)?

    /// Runs that are complete.
    public var runCount: Int { settings.reduce(0) { $0 + $1.trials.count } }

    init(axes: [String], seeds: [UInt64], settings: [Sweep.Setting]) {
        self.axes = axes
        self.seeds = seeds
        self.settings = settings
    }

    /// Puts a setting in its place; of all runs only the best setting's best is kept.
    mutating func add(_ setting: Sweep.Setting, _ run: FineTuneRun?) {
        let place = settings.firstIndex { SweepResult.precedes(setting, $0) } ?? settings.count
        settings.insert(setting, at: place)
        if place == 0 { winner = run }
    }

    private static func precedes(_ a: Sweep.Setting, _ b: Sweep.Setting) -> Bool {
        let (left, right) = (a.mean ?? -1, b.mean ?? -1)
        return left != right ? left > right : a.loss ?? .infinity < b.loss ?? .infinity
    }
}
