import Foundation
import NN
import Optim
import Reports

/// The learning-rate range test: the rate grows exponentially from batch to batch while the loss is watched.
///
/// Small rates leave the loss as it is, good ones bring it down, large ones drive it up; the test stops there. Source: Smith,
/// "Cyclical Learning Rates for Training Neural Networks", 2015.
public struct LearningRateFinder: Sendable {
    /// How far the test goes, and when it ends early.
    public struct Options: Sendable {
        /// First and last rate.
        public var from = 1e-6
        public var to = 10.0
        /// Batches, epoch after epoch where the data has fewer.
        public var steps = 100
        /// Part of the smoothed loss that the next batch leaves.
        public var smoothing = 0.95
        /// Stops when the smoothed loss is this many times the lowest one.
        public var divergence = 4.0
        /// The defaults of `finetune lr-find`.
        public init() {}

        /// Throws `SettingError` for a range or number of steps that make no test.
        public func check() throws {
            guard from > 0, to > from, to.isFinite else {
                throw SettingError("--from, --to", "expected 0 < FROM < TO, got \(from) and \(to)")
            }
            try SettingRange.check(steps, 10...SettingRange.steps.upperBound, "--steps")
        }
    }

    /// One batch.
    public struct Point: Sendable, Encodable, Equatable {
        public var learningRate: Double
        public var loss: Double
        public var smoothed: Double
    }

    public let points: [Point]
    /// Whether the loss grew so much, or ceased to be finite, that the test ended early.
    public let hasDiverged: Bool

    /// Trains `run` batch by batch and puts its weights and its optimizer's state back.
    ///
    /// Throws `SettingError` for a range or number of steps that make no test, `TrainingError` for a loss that is no finite
    /// number from the start.
    public init(
        _ run: FineTuneRun, options: Options = Options(), onStep: (Int, Int) throws -> Void = { _, _ in }
    ) throws {
        try options.check()
        let optimizer = run.trainer.optimizer
        let (weights, state) = (run.module.stateDict(), optimizer.stateDict())
        var test = RangeTest(options: options)
        let outcome = Result { try test.train(run, onStep) }
        try run.module.load(stateDict: weights)
        try optimizer.load(stateDict: state)
        optimizer.zeroGrad()
        try outcome.get()
        points = test.points
        hasDiverged = test.hasDiverged
    }

    init(points: [Point], hasDiverged: Bool = false) {
        self.points = points
        self.hasDiverged = hasDiverged
    }

    /// The rate at which the smoothed loss falls fastest per factor of the rate, before it is lowest; nil when it never falls.
    public var steepest: Double? {
        // The first smoothed losses are means of few batches; a slope over several points is not one batch's luck.
        let first = points.count / 10
        let reach = max(1, points.count / 20)
        guard let lowest = points.indices.dropFirst(first).min(by: { points[$0].smoothed < points[$1].smoothed }) else {
            return nil
        }
        var best: (slope: Double, rate: Double)?
        for index in stride(from: first + reach, through: lowest - reach, by: 1) {
            let slope = points[index + reach].smoothed - points[index - reach].smoothed
            if slope < best?.slope ?? 0 { best = (slope, points[index].learningRate) }
        }
        return best?.rate
    }

    /// A tenth of the rate at which the smoothed loss is lowest.
    public var tenthOfMinimum: Double? {
        points.dropFirst(points.count / 10).min { $0.smoothed < $1.smoothed }.map { $0.learningRate / 10 }
    }

    /// The steepest descent, or a tenth of the minimum's rate where that is smaller, to two digits; nil when the loss never
    /// falls.
    public var suggestion: Double? {
        guard let steepest, let tenthOfMinimum else { return nil }
        let rate = min(steepest, tenthOfMinimum)
        let unit = pow(10, log10(rate).rounded(.down) - 1)
        return (rate / unit).rounded() * unit
    }

    /// Loss against the learning rate.
    public var chart: LineChart {
        // A loss that explodes would flatten everything before it.
        let lowest = points.map(\.smoothed).min() ?? 0
        let ceiling = max((points.first?.smoothed ?? 1) * 1.5, lowest * 2)
        func line(_ value: (Point) -> Double) -> [LineChart.Point] {
            points.map { LineChart.Point($0.learningRate, min(value($0), ceiling)) }
        }
        let mark = suggestion.flatMap { rate -> LineChart.Mark? in
            let near = points.min { abs(log($0.learningRate / rate)) < abs(log($1.learningRate / rate)) }
            return near.map { LineChart.Mark(.init($0.learningRate, $0.smoothed), String(format: "%g", rate)) }
        }
        return LineChart(
            "Range test", xTitle: "learning rate", x: .logarithmic,
            series: [.init("loss of a batch", .quiet, line(\.loss)), .init("smoothed", .accent, line(\.smoothed))],
            mark: mark)
    }
}

/// The test while it runs.
private struct RangeTest {
    let options: LearningRateFinder.Options
    private(set) var points: [LearningRateFinder.Point] = []
    private(set) var hasDiverged = false
    private var average = 0.0

    init(options: LearningRateFinder.Options) { self.options = options }

    mutating func train(_ run: FineTuneRun, _ onStep: (Int, Int) throws -> Void) throws {
        run.module.train()
        let optimizer = run.trainer.optimizer
        // Groups keep the proportions of their rates.
        let shares = optimizer.groups.map { $0.learningRate / optimizer.learningRate }
        var epoch = 1
        var batches = try run.trainer.train.epoch(epoch)
        var hasBatch = false
        while points.count < options.steps && !hasDiverged {
            guard let batch = try batches.next() else {
                guard hasBatch else { throw TrainingError.noPictures(.train) }
                epoch += 1
                batches = try run.trainer.train.epoch(epoch)
                hasBatch = false
                continue
            }
            hasBatch = true
            let part = Double(points.count) / Double(options.steps - 1)
            let rate = options.from * pow(options.to / options.from, part)
            for (group, share) in zip(optimizer.groups, shares) { group.learningRate = rate * share }
            do {
                note(rate, try run.trainer.trial(.train, batch))
            } catch TrainingError.notFinite(let report) {
                // Before any step no rate is to blame.
                guard !points.isEmpty else { throw TrainingError.notFinite(report) }
                hasDiverged = true
            }
            try onStep(points.count, options.steps)
        }
    }

    /// Adds a batch's loss; the mean is corrected for its start at zero.
    private mutating func note(_ rate: Double, _ loss: Double) {
        average = options.smoothing * average + (1 - options.smoothing) * loss
        let smoothed = average / (1 - pow(options.smoothing, Double(points.count + 1)))
        points.append(.init(learningRate: rate, loss: loss, smoothed: smoothed))
        let lowest = points.map(\.smoothed).min() ?? smoothed
        hasDiverged = smoothed > options.divergence * lowest
    }
}
