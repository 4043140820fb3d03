import ArgumentParser
import FineTune
import Foundation

/// `finetune evaluate`: loss and accuracy on labelled pictures.
struct EvaluateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "evaluate", abstract: "Loss and accuracy of a model on labelled pictures.")

    @OptionGroup(title: "Model") var model: ModelOptions

    @Option(help: ArgumentHelp("Folder of classes (its val/ if it has one) or CSV list.", valueName: "path"))
    var data: String

    @OptionGroup(title: "Validation") var split: SplitOptions

    @Option(help: "Pictures per step.") var batchSize = 32
    @Option(help: "CPU threads; 0 means all.") var threads = 0
    @Flag(help: "Leave out pictures that cannot be read instead of stopping.") var skipBadPictures = false
    @OptionGroup(title: "Output") var output: OutputOptions

    func run() throws {
        try SettingRange.check(batchSize, SettingRange.batchSize, "--batch-size")
        try useThreads(threads)
        let predictor = try Predictor(
            LoadedModel(path: ModelOptions.resolve(model.model), overrides: model.overrides))
        let dataset = try showingProgress(!output.quiet) {
            try Predictor.dataset(data, valFraction: split.valFraction, seed: split.seed)
        }
        if !output.quiet {
            for note in predictor.loaded.notes { Console.note(note) }
            Console.note("Pictures: \(predictor.loaded.preprocessing)")
            if let rotated = predictor.loaded.preprocessing.rotationNote(dataset) { Console.note(rotated) }
            if let ignored = dataset.ignoredSummary { Console.note(ignored) }
        }
        var bar = ProgressLine(isEnabled: !output.quiet)
        let evaluation = try predictor.evaluate(dataset, batchSize: batchSize, skipBadPictures: skipBadPictures) {
            bar.draw("evaluate", $0, of: $1)
        }
        bar.clear()
        for picture in evaluation.skipped { Console.note("left out: \(picture)") }
        let width = evaluation.classes.map(\.name.shown.count).max() ?? 0
        for entry in evaluation.classes where !output.quiet {
            let padding = String(repeating: " ", count: width - entry.name.shown.count)
            Console.line("\(entry.name.shown)\(padding)  \(entry.correct)/\(entry.total)")
        }
        Console.line(
            String(
                format: "accuracy %.4f (%d/%d)  loss %.4f", evaluation.result.accuracy, evaluation.correct,
                evaluation.total, evaluation.result.loss))
        if output.json {
            try Console.json(
                Report(
                    correct: evaluation.correct, total: evaluation.total, accuracy: evaluation.result.accuracy,
                    loss: evaluation.result.loss,
                    classes: evaluation.classes.map { .init(name: $0.name, correct: $0.correct, total: $0.total) }))
        }
    }

    private struct Report: Encodable {
        struct Class: Encodable {
            var name: String
            var correct, total: Int
        }
        var correct, total: Int
        var accuracy, loss: Double
        var classes: [Class]
    }
}
