import ArgumentParser
import FineTune
import Foundation

/// `finetune train`, the default: the whole job.
struct TrainCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "train", abstract: "Fine-tune a model on pictures (the default).",
        discussion: """
            Loads the model frozen, unfreezes what --unfreeze names, trains as PyTorch's transfer-learning tutorial does, \
            and writes best.onnx: the file that was read with the trained tensors replaced.

            Ctrl-C finishes the step and writes a checkpoint; --resume goes on from it, also after a crash, to the very \
            weights that the run would have had.
            """)

    @OptionGroup(title: "Model") var model: TrainModelOptions
    @OptionGroup(title: "Data") var data: DataOptions
    @OptionGroup(title: "Data") var features: FeatureCacheOptions
    @OptionGroup(title: "Training") var training: TrainingOptions
    @OptionGroup(title: "Output") var output: OutputOptions
    @OptionGroup(title: "Output") var folder: RunFolderOptions

    func validate() throws {
        guard folder.checkpointEvery >= 0 else { throw ValidationError("--checkpoint-every: expected seconds from 0") }
    }

    /// A run that is resumed has its own settings: options that would change them are refused, not ignored.
    static func checkResume(_ words: [String]) throws {
        let given = ConfigFile.options(in: words)
        let neutral: Set = ["resume", "checkpoint-every", "json", "quiet", "verbose", "help"]
        // What is no option at all is the parser's to say.
        let known = Set(ConfigFile.known + ["config"])
        guard given.contains("resume"), let other = given.subtracting(neutral).intersection(known).min() else { return }
        throw SettingError("--resume", "the run goes on with its own settings; leave --\(other) away")
    }

    func run() throws {
        // Not in validate(), which comes before the parser tells of a misspelt option.
        guard model.model != nil || folder.resume != nil else {
            throw ValidationError("Missing expected argument '--model <file>'")
        }
        if folder.dryRun {
            _ = try RunFolder.free(folder.output)
            return try showPlan(
                showingProgress(!output.quiet) {
                    let run = try FineTuneRun(makeSettings())
                    _ = run.pictureNotes(waiting: true)
                    return run
                })
        }
        let session = try showingProgress(!output.quiet) {
            try folder.resume.map { try RunSession.resume($0) }
                ?? RunSession.begin(makeSettings(), output: folder.output)
        }
        introduce(session)
        let start = ContinuousClock.now
        let summary = try showingProgress(!output.quiet) { try train(session) }
        try conclude(session.run, summary, seconds: (ContinuousClock.now - start) / .seconds(1))
    }

    private func introduce(_ session: RunSession) {
        if output.quiet {
            for problem in session.problems { Console.note(problem) }
        } else {
            show(session.run, notes: session.notes)
        }
        if output.verbose { showDetails(session.run) }
    }

    /// Trains to the end, with a line for each epoch and a bar on a terminal.
    private func train(_ session: RunSession) throws -> RunFolder.Summary {
        let run = session.run
        let total = run.settings.epochs
        var bar = ProgressLine(isEnabled: !output.quiet)
        let stop = StopSignal()
        // Pictures may be read behind the back of training; what is found then comes when it is known.
        var isWaitingForNotes = !output.quiet && run.pictureNotes() == nil
        func showLateNotes(waiting: Bool) {
            guard isWaitingForNotes, let notes = run.pictureNotes(waiting: waiting) else { return }
            isWaitingForNotes = false
            bar.clear()
            for note in notes { Console.note(note) }
        }
        do {
            let summary = try session.train(
                every: folder.checkpointEvery, stop: { stop.received },
                onBatch: { progress in
                    showLateNotes(waiting: false)
                    bar.draw(
                        "epoch \(progress.epoch)/\(total) \(progress.phase.rawValue)",
                        (progress.epoch - 1) * progress.batchesOfEpoch + progress.batchOfEpoch,
                        of: total * progress.batchesOfEpoch,
                        detail: sparkline(run.trainer.history.suffix(sparklineWidth).map(\.val.accuracy)))
                },
                onEpoch: { record in
                    bar.clear()
                    show(record, of: run)
                })
            showLateNotes(waiting: true)
            bar.clear()
            return summary
        } catch {
            bar.clear()
            throw BrokenRun(error: error, advice: advice(session, after: error))
        }
    }

    private func show(_ record: EpochRecord, of run: FineTuneRun) {
        if !output.quiet {
            let isBest = run.trainer.best?.epoch == record.epoch
            Console.line(EpochTable.row(record, of: run.settings.epochs), isBest ? .green : nil)
        }
        if output.verbose && !run.trainer.isFinished {
            let rates = run.trainer.optimizer.groups.map { "\($0.learningRate)" }
            Console.note("next learning rate \(rates.joined(separator: ", "))")
        }
    }

    private func conclude(_ run: FineTuneRun, _ summary: RunFolder.Summary, seconds: Double) throws {
        for picture in run.skippedPictures { Console.note("left out: \(picture)") }
        showFeatures(run.features)
        if let patience = run.settings.patience, run.trainer.history.count < run.settings.epochs, !output.quiet {
            Console.line("Stopped early: no better accuracy in \(Wording.count(patience, "epoch"))")
        }
        Console.line(
            String(
                format: "Training complete in %@. Best val accuracy %.4f (epoch %d).", Wording.duration(seconds),
                summary.accuracy, summary.epoch))
        Console.line("Written: \(summary.output)")
        Console.line("Report: \(summary.report)")
        if output.verbose { Console.note(String(format: "peak memory %.0f MB", ProcessMemory.peakMegabytes)) }
        if output.json {
            try Console.json(
                Report(
                    bestValAccuracy: summary.accuracy, bestEpoch: summary.epoch, seconds: seconds,
                    trainableParameters: run.trainable(inEpoch: run.trainer.history.count).elements,
                    totalParameters: run.unfrozen.totalElements,
                    output: summary.output, epochs: run.trainer.history.map(Report.Epoch.init)))
        }
    }

    private func makeSettings() throws -> RunSettings {
        var settings = RunSettings(model: ModelOptions.resolve(model.model ?? ""))
        settings.pictures = model.pictures.overrides
        data.apply(to: &settings)
        features.apply(to: &settings)
        try training.apply(to: &settings)
        return settings
    }

    /// What is left of a run that broke off, and the command that goes on with it.
    private func advice(_ session: RunSession, after error: any Error) -> [String] {
        var lines: [String] = []
        if let best = session.exported {
            lines.append(
                String(
                    format: "Best so far: val accuracy %.4f (epoch %d), in %@", best.accuracy, best.epoch, best.output))
        }
        if session.isFinal(error) { return lines }
        let words = optionWords("resume", session.folder.path).map(shellQuoted)
        return lines + ["Go on with: finetune \(words.joined(separator: " "))"]
    }

    private func show(_ run: FineTuneRun, notes: [String]) {
        for note in run.notes + notes { Console.note(note) }
        let data = run.data
        Console.line(
            "Data: \(data.train.count) train and \(data.val.count) val pictures of \(data.classes.count) classes "
                + "(\(data.classes.prefix(6).map(\.shown).joined(separator: ", "))"
                + "\(data.classes.count > 6 ? ", ..." : ""))")
        Console.line("Pictures: \(run.loaded.preprocessing)")
        if let head = run.head {
            Console.line(
                "Head: \(head.path) replaced, \(head.oldClasses) to \(head.newClasses) classes (\(head.inFeatures) features)"
            )
        }
        Console.line("Trainable: \(run.unfrozen)")
        for later in run.laterUnfrozen { Console.line("From epoch \(later.epoch): \(later.report) more") }
        Console.line(
            "Batch norm: \(run.settings.batchNorm == .frozen ? "running statistics, frozen" : "batch statistics")")
    }

    private func showFeatures(_ features: FeatureStore) {
        if let problem = features.problem { Console.note(problem) }
        let (found, computed) = features.pictureCounts
        if !output.quiet && found > 0 {
            Console.note("Frozen layers: \(found) pictures found in the cache, \(computed) computed.")
        }
    }

    /// What `--verbose` adds.
    private func showDetails(_ run: FineTuneRun) {
        let settings = run.settings
        Console.note("kernels: \(Kernels.summary)")
        Console.note("augmentation: \(run.augmentation.rawValue); schedule: \(settings.schedule)")
        let groups = run.trainer.optimizer.groups.map { group in
            "\(group.name.map { "\($0): " } ?? "")\(group.parameters.count) tensors at \(group.learningRate)"
        }
        Console.note("\(settings.optimizer): \(groups.joined(separator: "; "))")
    }

    /// What `--dry-run` prints.
    private func showPlan(_ run: FineTuneRun) throws {
        if !output.quiet { show(run, notes: []) }
        if output.verbose { showDetails(run) }
        let plan = try run.estimate()
        Console.line(
            "Plan: \(Wording.count(run.settings.epochs, "epoch")) of \(plan.stepsPerEpoch) training and \(plan.validationStepsPerEpoch) "
                + "validation steps")
        Console.line(
            "Time: about \(Wording.duration(plan.totalSeconds)): \(Wording.duration(plan.firstEpochSeconds)) for the first epoch, "
                + "\(Wording.duration(plan.epochSeconds)) for each other")
        Console.line(String(format: "Memory: about %.0f MB", plan.memoryMb))
        if output.json { try Console.json(plan) }
    }

    /// The object that `--json` prints.
    private struct Report: Encodable {
        struct Epoch: Encodable {
            var epoch: Int
            var trainLoss, trainAccuracy, valLoss, valAccuracy, seconds: Double

            init(_ record: EpochRecord) {
                epoch = record.epoch
                trainLoss = record.train.loss
                trainAccuracy = record.train.accuracy
                valLoss = record.val.loss
                valAccuracy = record.val.accuracy
                seconds = record.seconds
            }
        }
        var bestValAccuracy: Double
        var bestEpoch: Int
        var seconds: Double
        var trainableParameters: Int
        var totalParameters: Int
        var output: String
        var epochs: [Epoch]
    }
}

/// The error that ended a run, and what a person can do then.
struct BrokenRun: Error {
    var error: any Error
    var advice: [String]
}

/// One line per epoch, in columns.
enum EpochTable {
    static func row(_ record: EpochRecord, of total: Int) -> String {
        let width = String(total).count
        let number = String(repeating: " ", count: width - String(record.epoch).count) + String(record.epoch)
        return String(
            format: "Epoch %@/%d  train loss %@ acc %.4f  val loss %@ acc %.4f  %@", number, total,
            Wording.loss(record.train.loss), record.train.accuracy, Wording.loss(record.val.loss), record.val.accuracy,
            Wording.duration(record.seconds))
    }
}

/// Which model is trained; none when a run is resumed.
struct TrainModelOptions: ParsableArguments {
    @Option(help: ArgumentHelp("The ONNX file.", valueName: "file"), completion: .file(extensions: ["onnx"]))
    var model: String?

    @OptionGroup var pictures: PictureOptions
}

/// Where a run is written.
struct RunFolderOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Folder of the run; must not exist yet. Default: runs/<date-time>.", valueName: "dir"))
    var output: String?

    @Option(
        help: ArgumentHelp(
            "Go on with the run in this folder, with its own settings, from its last checkpoint.", valueName: "run"),
        completion: .directory)
    var resume: String?

    @Option(
        help: ArgumentHelp(
            "Options from a YAML or JSON file, under their names here, or from the run.json of a run. Options given beside it "
                + "win.", valueName: "file"),
        completion: .file(extensions: ["yaml", "yml", "json"]))
    var config: String?

    @Flag(help: "Print what would be trained, and the time and memory it takes, by a few steps; write nothing.")
    var dryRun = false

    @Option(
        help: ArgumentHelp(
            "A checkpoint is written after every epoch, and within epochs when it is this old.", valueName: "seconds"))
    var checkpointEvery = 60.0
}

/// Which pictures.
struct DataOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Folder with train/ and val/, folder of classes, or CSV list. Default: the folder MODEL-data beside the model.",
            valueName: "path"))
    var data: String?

    @Option(help: ArgumentHelp("Part of each class taken for validation when there is no val/.", valueName: "fraction"))
    var valFraction: Double?

    @Option(help: "tutorial (random crop and flip) or none. Default: what the model's metadata says, else tutorial.")
    var augment: Augmentation?

    @Flag(help: "Leave out pictures that cannot be read, with a count, instead of stopping.")
    var skipBadPictures = false

    func apply(to settings: inout RunSettings) {
        settings.data = data
        settings.valFraction = valFraction
        settings.augment = augment
        settings.skipBadPictures = skipBadPictures
    }
}

extension Augmentation: ExpressibleByArgument {}
extension RunSettings.BatchNormMode: ExpressibleByArgument {}

/// How to train; defaults are the tutorial's.
struct TrainingOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "What becomes trainable: names, prefixes or globs of parameters (fc, layer4.*.conv2), head, last:N, all; "
                + "comma-separated or repeated. Default: head.", valueName: "pattern"))
    var unfreeze: [String] = []

    @Option(
        help: ArgumentHelp(
            "Layers that join at the start of an epoch: 5:layer4; repeatable.", valueName: "epoch:pattern"))
    var unfreezeAt: [String] = []

    @Option(help: "Passes over the training pictures.") var epochs = 25
    @Option(help: ArgumentHelp("Stop after so many epochs without a better validation accuracy.", valueName: "epochs"))
    var patience: Int?
    @Option(help: "Pictures per step.") var batchSize = 4
    @Option(
        help: ArgumentHelp(
            "Learning rate; layers may have their own: 0.001,layer4=0.0001. The last pattern that matches counts.",
            valueName: "rate"))
    var lr = "0.001"
    @Option(help: "Momentum of sgd.") var momentum = 0.9
    @Option(help: "L2 penalty (sgd, adam) or decoupled decay (adamw).") var weightDecay = 0.0
    @Option(help: "sgd, adam or adamw.") var optimizer = "sgd"
    @Option(help: "constant, step:EPOCHS:FACTOR, multistep:E1,E2:FACTOR, cosine, onecycle; warmup:EPOCHS+ before.")
    var schedule = "step:7:0.1"
    @Option(help: "frozen (running statistics) or train (batch statistics, as the tutorial).")
    var batchNorm = RunSettings.BatchNormMode.frozen
    @Option(help: "Softens the targets, 0 to 1.") var labelSmoothing = 0.0
    @Option(help: "Scale gradients down to this norm.") var clipNorm: Double?
    @Option(help: "'balanced' weighs classes inversely to their number.") var classWeights: String?
    @Flag(help: "Fail when the classes differ in number instead of replacing the head.") var keepHead = false
    @Option(help: "Decides the order, the augmentation and a new head.") var seed: UInt64 = 0
    @Option(help: "CPU threads; 0 means all.") var threads = 0

    func apply(to settings: inout RunSettings) throws {
        if !unfreeze.isEmpty { settings.unfreeze = unfreeze }
        settings.unfreezeAt = unfreezeAt
        settings.epochs = epochs
        settings.patience = patience
        settings.batchSize = batchSize
        settings.learningRates = try LearningRates(text: lr)
        settings.momentum = momentum
        settings.weightDecay = weightDecay
        settings.optimizer = optimizer
        settings.schedule = schedule
        settings.batchNorm = batchNorm
        settings.labelSmoothing = labelSmoothing
        settings.clipNorm = clipNorm
        settings.classWeights = classWeights
        settings.keepHead = keepHead
        settings.seed = seed
        settings.threads = threads
    }
}
