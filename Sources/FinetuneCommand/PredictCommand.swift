import ArgumentParser
import FineTune
import Foundation

/// `finetune predict`: the likeliest classes of pictures.
struct PredictCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "predict", abstract: "The likeliest classes of pictures.",
        discussion: """
            csv has a header and a row for each picture: file,class,probability, then class_2,probability_2 and so on \
            for --top above 1. jsonl has an object for each picture: {"file":...,"top":[{"class":...,"probability":...}]}.
            """)

    @OptionGroup(title: "Model") var model: ModelOptions

    @Argument(help: "Picture files, folders (every picture below them) and patterns such as 'in/*.jpg'.")
    var pictures: [String]

    @Option(help: "Classes shown per picture.") var top = 5
    @Option(help: "CPU threads; 0 means all.") var threads = 0
    @Flag(help: "Leave out pictures that cannot be read instead of stopping.") var skipBadPictures = false
    @OptionGroup(title: "Output") var table: TableOptions
    @OptionGroup(title: "Output") var output: OutputOptions

    struct TableOptions: ParsableArguments {
        @Option(help: "text, csv or jsonl.") var format = PredictionFormat.text
        @Option(help: ArgumentHelp("File for the predictions instead of standard output.", valueName: "file"))
        var output: String?
    }

    func validate() throws {
        guard top >= 1 else { throw ValidationError("--top: \(top) is not a positive number") }
    }

    func run() throws {
        try useThreads(threads)
        let path = ModelOptions.resolve(model.model)
        let (files, ignored) = try PictureFiles.find(pictures)
        if let file = table.output { try checkOutput(file, inputs: [path] + files) }
        let predictor = try Predictor(LoadedModel(path: path, overrides: model.overrides))
        if !output.quiet {
            for note in predictor.loaded.notes { Console.note(note) }
            Console.note("Pictures: \(predictor.loaded.preprocessing)")
            if let rotated = predictor.loaded.preprocessing.rotationNote(files) { Console.note(rotated) }
            if let summary = ignored.summary { Console.note(summary) }
        }
        var bar = ProgressLine(isEnabled: !output.quiet)
        let (predictions, skipped) = try predictor.predict(files, top: top, skipBadPictures: skipBadPictures) {
            bar.draw("predict", $0, of: $1)
        }
        bar.clear()
        for picture in skipped { Console.note("left out: \(picture)") }
        let lines = try table.format.lines(predictions, top: min(top, predictor.loaded.classCount))
        if let file = table.output {
            try AtomicFile.write(lines.map { $0 + "\n" }.joined(), to: file)
            if !output.quiet { Console.line("Written: \(file) (\(Wording.count(predictions.count, "picture")))") }
        } else {
            for line in lines { Console.data(line) }
        }
        if output.json { try Console.json(Report(predictions: predictions)) }
    }

    private struct Report: Encodable {
        var predictions: [Predictor.Prediction]
    }
}

extension PredictionFormat: ExpressibleByArgument {}
