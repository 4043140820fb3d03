import ArgumentParser
import FineTune
import Foundation

/// `finetune sweep`: many runs, ranked.
struct SweepCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sweep", abstract: "Train with every combination of some settings and rank them.",
        discussion: """
            finetune sweep --model resnet.onnx --data pictures/ --lr 0.1,0.01,0.001 --unfreeze fc --unfreeze last:2 --seeds 0,1,2

            Options under 'Lists' take several values, separated by commas or repeated (--unfreeze and --schedule: repeated, \
            since their values may hold commas). Frozen layers run once for all runs. Writes sweep.csv, sweep.json, \
            sweep.html and the best run's best.onnx. Ctrl-C ends the sweep after this step and keeps the runs that are complete.
            """)

    @OptionGroup(title: "Model") var model: ModelOptions
    @OptionGroup(title: "Data") var data: DataOptions
    @OptionGroup(title: "Data") var features: FeatureCacheOptions
    @OptionGroup(title: "Lists") var lists: ListOptions
    @OptionGroup(title: "Training") var training: FixedOptions
    @OptionGroup(title: "Output") var output: OutputOptions
    @OptionGroup(title: "Output") var folder: FolderOptions

    struct FolderOptions: ParsableArguments {
        @Option(
            name: .customLong("output"),
            help: ArgumentHelp(
                "Folder to write; must not exist yet. Default: runs/sweep-<date-time>.", valueName: "dir"))
        var path: String?
    }

    func run() throws {
        var base = RunSettings(model: ModelOptions.resolve(model.model))
        base.pictures = model.overrides
        data.apply(to: &base)
        features.apply(to: &base)
        training.apply(to: &base)
        let axes = try lists.axes(fixing: &base)
        let sweep = Sweep(base: base, axes: axes, seeds: try lists.seedList())
        try sweep.check()
        var place = try SweepFolder(free: folder.path)
        if !output.quiet {
            Console.line(
                "Sweep: \(Wording.count(sweep.settingCount, "setting")), \(Wording.count(sweep.runCount, "run")), into "
                    + place.path)
        }
        let start = ContinuousClock.now
        let result = try showingProgress(!output.quiet) { try train(sweep) }
        try place.write(result, of: sweep)
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        for line in table(result) { Console.line(line) }
        guard let best = result.settings.first, let mean = best.mean else {
            if let interruption = result.interruption { throw interruption }
            throw SweepFailed(reason: result.settings.first?.trials.first?.failure ?? "nothing was trained")
        }
        let isComplete = result.interruption == nil
        Console.line(
            "Sweep \(isComplete ? "complete in" : "ended after \(result.runCount) of \(sweep.runCount) runs and") "
                + "\(Wording.duration(seconds)). Best mean val accuracy " + String(format: "%.4f.", mean))
        Console.line("Written: \(place.bestModel)")
        Console.line("Report: \(place.page)")
        if output.json { try Console.json(Report(result, place, seconds)) }
        if let interruption = result.interruption { throw interruption }
    }

    private func train(_ sweep: Sweep) throws -> SweepResult {
        var bar = ProgressLine(isEnabled: !output.quiet)
        let width = String(sweep.runCount).count
        var done = 0
        let stop = StopSignal()
        defer { bar.clear() }
        return try sweep.run(
            stop: { stop.received },
            onBatch: { complete, progress in
                let perRun = sweep.base.epochs * progress.batchesOfEpoch
                bar.draw(
                    "run \(complete + 1)/\(sweep.runCount)",
                    complete * perRun + (progress.epoch - 1) * progress.batchesOfEpoch + progress.batchOfEpoch,
                    of: sweep.runCount * perRun)
            },
            onTrial: { setting in
                bar.clear()
                done += 1
                guard !output.quiet, let trial = setting.trials.last else { return }
                let number = String(repeating: " ", count: width - String(done).count) + "\(done)"
                let values: [String] = zip(sweep.axes, setting.values).map { axis, value in "\(axis.name) \(value)" }
                let names = (values + ["seed \(trial.seed)"]).joined(separator: ", ")
                let outcome =
                    trial.accuracy.map { String(format: "val acc %.4f", $0) } ?? "broke off: \(trial.failure ?? "")"
                Console.line("Run \(number)/\(sweep.runCount)  \(names)  \(outcome)")
            })
    }

    /// The ranking in columns.
    private func table(_ result: SweepResult) -> [String] {
        let head = ["rank"] + result.axes + ["val accuracy", "val loss", "seconds"]
        let rows = result.settings.enumerated().map { rank, setting -> [String] in
            let accuracy = setting.mean.map { String(format: "%.4f", $0) } ?? "-"
            let spread = setting.spread.map { String(format: " ± %.4f", $0) } ?? ""
            let loss = setting.loss.map { Wording.loss($0) } ?? "-"
            let results: [String] = [accuracy + spread, loss, String(format: "%.1f", setting.seconds)]
            return ["\(rank + 1)"] + setting.values + results
        }
        let lines = [head] + rows
        let widths = head.indices.map { column in lines.map { $0[column].count }.max() ?? 0 }
        return lines.map { row in
            let cells = zip(row, widths).map { $0 + String(repeating: " ", count: $1 - $0.count) }
            return cells.joined(separator: "  ").trimmingCharacters(in: .whitespaces)
        }
    }

    /// The object that `--json` prints.
    private struct Report: Encodable {
        struct Row: Encodable {
            var settings: [String: String]
            var mean, spread, loss: Double?
            var accuracies: [Double]
            var seconds: Double
        }
        var output: String
        var report: String
        var seconds: Double
        var seeds: [UInt64]
        var ranking: [Row]

        init(_ result: SweepResult, _ place: SweepFolder, _ seconds: Double) {
            output = place.bestModel
            report = place.page
            self.seconds = seconds
            seeds = result.seeds
            ranking = result.settings.map { setting in
                Row(
                    settings: Dictionary(uniqueKeysWithValues: zip(result.axes, setting.values)),
                    mean: setting.mean, spread: setting.spread, loss: setting.loss, accuracies: setting.accuracies,
                    seconds: setting.seconds)
            }
        }
    }
}

/// Every run of a sweep broke off.
struct SweepFailed: Error, CustomStringConvertible {
    var reason: String
    var description: String { "no run of the sweep was complete: \(reason)" }
}

extension SweepCommand {
    /// Settings that may take several values.
    struct ListOptions: ParsableArguments {
        @Option(help: ArgumentHelp("Learning rates. Default: 0.001.", valueName: "list")) var lr: [String] = []
        @Option(
            help: ArgumentHelp(
                "What becomes trainable, one value for each --unfreeze. Default: head.", valueName: "pattern"))
        var unfreeze: [String] = []
        @Option(help: ArgumentHelp("Every combination is run with each. Default: 0.", valueName: "list"))
        var seeds: [String] = []
        @Option(help: ArgumentHelp("Pictures per step. Default: 4.", valueName: "list")) var batchSize: [String] = []
        @Option(help: ArgumentHelp("sgd, adam, adamw. Default: sgd.", valueName: "list")) var optimizer: [String] = []
        @Option(help: ArgumentHelp("Momentum of sgd. Default: 0.9.", valueName: "list")) var momentum: [String] = []
        @Option(help: ArgumentHelp("L2 penalty or decay. Default: 0.", valueName: "list")) var weightDecay: [String] =
            []
        @Option(help: ArgumentHelp("0 to 1. Default: 0.", valueName: "list")) var labelSmoothing: [String] = []
        @Option(help: ArgumentHelp("One value for each --schedule. Default: step:7:0.1.", valueName: "schedule"))
        var schedule: [String] = []

        /// The settings with several values; those with one are set in `base`.
        func axes(fixing base: inout RunSettings) throws -> [Sweep.Axis] {
            let all: [Sweep.Axis] = [
                axis("unfreeze", unfreeze) { settings, text in settings.unfreeze = [text] },
                try numbers("lr", lr) { (settings, value: Double) in settings.learningRate = value },
                axis("optimizer", split(optimizer)) { settings, text in settings.optimizer = text },
                try numbers("batch-size", batchSize) { (settings, value: Int) in settings.batchSize = value },
                try numbers("momentum", momentum) { (settings, value: Double) in settings.momentum = value },
                try numbers("weight-decay", weightDecay) { (settings, value: Double) in settings.weightDecay = value },
                try numbers("label-smoothing", labelSmoothing) { (settings, value: Double) in
                    settings.labelSmoothing = value
                },
                axis("schedule", schedule) { settings, text in settings.schedule = text },
            ]
            for axis in all where axis.values.count == 1 { axis.values[0].apply(&base) }
            return all.filter { $0.values.count > 1 }
        }

        func seedList() throws -> [UInt64] {
            let list = try split(seeds).map { text in
                guard let seed = UInt64(text) else { throw SettingError("--seeds", "'\(text)' is not a whole number") }
                return seed
            }
            return list.isEmpty ? [0] : unique(list)
        }

        private func split(_ texts: [String]) -> [String] {
            texts.flatMap { text in
                text.split(separator: ",", omittingEmptySubsequences: false).map {
                    $0.trimmingCharacters(in: .whitespaces)
                }
            }
        }

        /// The same combination is not run twice.
        private func unique<T: Hashable>(_ values: [T]) -> [T] {
            var seen: Set<T> = []
            return values.filter { seen.insert($0).inserted }
        }

        private func axis(
            _ name: String, _ texts: [String], _ apply: @escaping @Sendable (inout RunSettings, String) -> Void
        ) -> Sweep.Axis {
            Sweep.Axis(name, unique(texts).map { text in Sweep.Axis.Value(text) { apply(&$0, text) } })
        }

        private func numbers<T: LosslessStringConvertible & Hashable & Sendable>(
            _ name: String, _ texts: [String],
            _ apply: @escaping @Sendable (inout RunSettings, T) -> Void
        ) throws -> Sweep.Axis {
            var seen: Set<T> = []
            let values = try split(texts).compactMap { text -> Sweep.Axis.Value? in
                guard let value = T(text) else {
                    throw SettingError("--\(name)", "'\(text)' in '\(texts.joined(separator: ","))' is not a number")
                }
                // 0.1 and 1e-1 are the same.
                return seen.insert(value).inserted ? Sweep.Axis.Value(text) { apply(&$0, value) } : nil
            }
            return Sweep.Axis(name, values)
        }
    }

    /// Settings that all runs share.
    struct FixedOptions: ParsableArguments {
        @Option(help: "Passes over the training pictures.") var epochs = 25
        @Option(help: ArgumentHelp("Stop a run after so many epochs without a better accuracy.", valueName: "epochs"))
        var patience: Int?
        @Option(help: "frozen (running statistics) or train (batch statistics, as the tutorial).")
        var batchNorm = RunSettings.BatchNormMode.frozen
        @Option(help: "Scale gradients down to this norm.") var clipNorm: Double?
        @Option(help: "'balanced' weighs classes inversely to their number.") var classWeights: String?
        @Flag(help: "Fail when the classes differ in number instead of replacing the head.") var keepHead = false
        @Option(help: "CPU threads; 0 means all.") var threads = 0

        func apply(to settings: inout RunSettings) {
            settings.epochs = epochs
            settings.patience = patience
            settings.batchNorm = batchNorm
            settings.clipNorm = clipNorm
            settings.classWeights = classWeights
            settings.keepHead = keepHead
            settings.threads = threads
        }
    }
}
