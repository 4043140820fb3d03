import ArgumentParser
import FineTune
import Foundation

/// `finetune lr-find`: the learning-rate range test.
struct LRFindCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lr-find", abstract: "Suggest a learning rate by the range test.",
        discussion: """
            Trains on batch after batch while the rate grows from --from to --to, until the loss explodes, and writes a \
            plot. The suggestion is the rate at which the loss falls fastest, or a tenth of the one where it is lowest if \
            that is smaller. Other options mean what they mean in 'train'; of --lr the proportions of layers count, and \
            --epochs and --schedule have no effect.
            """)

    @OptionGroup(title: "Model") var model: ModelOptions
    @OptionGroup(title: "Data") var data: DataOptions
    @OptionGroup(title: "Data") var features: FeatureCacheOptions
    @OptionGroup(title: "Range") var range: RangeOptions
    @OptionGroup(title: "Training") var training: TrainingOptions
    @OptionGroup(title: "Output") var output: OutputOptions
    @OptionGroup(title: "Output") var plot: PlotOptions

    struct RangeOptions: ParsableArguments {
        @Option(help: "First rate.") var from = 1e-6
        @Option(help: "Last rate.") var to = 10.0
        @Option(help: "Batches.") var steps = 100
    }

    struct PlotOptions: ParsableArguments {
        @Option(name: .customLong("output"), help: ArgumentHelp("SVG file to write.", valueName: "file"))
        var path = "lr-find.svg"
    }

    func run() throws {
        var settings = RunSettings(model: ModelOptions.resolve(model.model))
        settings.pictures = model.overrides
        data.apply(to: &settings)
        features.apply(to: &settings)
        try training.apply(to: &settings)
        guard settings.unfreezeAt.isEmpty else {
            throw SettingError("--unfreeze-at", "the range test has no epochs; name what is to train with --unfreeze")
        }
        var options = LearningRateFinder.Options()
        (options.from, options.to, options.steps) = (range.from, range.to, range.steps)
        try options.check()
        let run = try showingProgress(!output.quiet) { try FineTuneRun(settings) }
        try checkOutput(
            plot.path, inputs: [settings.model, run.data.train.source] + run.data.train.samples.map(\.path))
        // A place that cannot be written shows before the test.
        let file = try AtomicFile(path: plot.path)
        if !output.quiet { for note in run.notes { Console.note(note) } }
        var bar = ProgressLine(isEnabled: !output.quiet)
        let stop = StopSignal()
        defer { bar.clear() }
        let finder = try LearningRateFinder(run, options: options) { done, all in
            bar.draw("lr-find", done, of: all)
            if let signal = stop.received {
                throw RunStopped(signal: signal, whereabouts: "after \(done) of \(all) batches")
            }
        }
        bar.clear()
        if !output.quiet {
            let end = finder.hasDiverged ? "the loss exploded" : "the range ended"
            Console.line("\(Wording.count(finder.points.count, "batch", plural: "batches")), then \(end)")
            if let steepest = finder.steepest, let tenth = finder.tenthOfMinimum {
                Console.line(String(format: "Steepest descent: %.2g", steepest))
                Console.line(String(format: "A tenth of the minimum: %.2g", tenth))
            }
        }
        Console.line(
            finder.suggestion.map { "Suggestion: --lr \(settings.learningRates.scaled(to: $0))" }
                ?? "No suggestion: the loss never fell; try another range (--from, --to) or more --steps")
        try file.write(LineChart.document([finder.chart]))
        try file.commit()
        Console.line("Written: \(plot.path)")
        if output.json { try Console.json(Report(finder, plot: plot.path)) }
    }

    private struct Report: Encodable {
        var suggestion, steepest, tenthOfMinimum: Double?
        var diverged: Bool
        var points: [LearningRateFinder.Point]
        var plot: String

        init(_ finder: LearningRateFinder, plot: String) {
            suggestion = finder.suggestion
            steepest = finder.steepest
            tenthOfMinimum = finder.tenthOfMinimum
            diverged = finder.hasDiverged
            points = finder.points
            self.plot = plot
        }
    }
}
