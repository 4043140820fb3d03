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
        let (files, ignored) = try showingProgress(!output.quiet) { try PictureFiles.find(pictures) }
        if let file = table.output { try checkOutput(file, inputs: [path] + files) }
        let predictor = try Predictor(LoadedModel(path: path, overrides: model.overrides))
        if !output.quiet {
            for note in predictor.loaded.notes { Console.note(note) }
            Console.note("Pictures: \(predictor.loaded.preprocessing)")
            if let rotated = predictor.loaded.preprocessing.rotationNote(files) { Console.note(rotated) }
            if let summary = ignored.summary { Console.note(summary) }
        }
        let target = try table.output.map { try AtomicFile(path: $0) }
        var report = output.json ? CompactPredictions() : nil
        var count = 0
        func write(_ lines: [String]) throws {
            guard !lines.isEmpty else { return }
            if let target { try target.write(lines.map { $0 + "\n" }.joined()) } else { Console.lines(lines) }
        }
        var bar = ProgressLine(isEnabled: !output.quiet)
        if let header = table.format.header(top: min(top, predictor.loaded.classCount)) { try write([header]) }
        let skipped = try predictor.predict(
            files, top: top, skipBadPictures: skipBadPictures, onBatch: { bar.draw("predict", $0, of: $1) },
            onPredictions: { predictions in
                bar.clear()
                try write(try predictions.map(table.format.line))
                report?.append(predictions)
                count += predictions.count
            })
        bar.clear()
        try target?.commit()
        for picture in skipped { Console.note("left out: \(picture)") }
        if let file = table.output, !output.quiet {
            Console.line("Written: \(file) (\(Wording.count(count, "picture")))")
        }
        try report?.print()
    }
}

/// Predictions for the object that `--json` prints, in the least memory: it comes after all lines of text.
private struct CompactPredictions {
    private var files: [String] = []
    private var names: [String] = []
    private var numbers: [String: Int32] = [:]
    /// Class and probability of each guess, the guesses of a picture together.
    private var guesses: [(name: Int32, probability: Double)] = []
    /// Where the guesses of each picture end.
    private var ends: [Int] = []

    mutating func append(_ predictions: [Predictor.Prediction]) {
        for prediction in predictions {
            files.append(prediction.file)
            for guess in prediction.top { guesses.append((number(of: guess.name), guess.probability)) }
            ends.append(guesses.count)
        }
    }

    private mutating func number(of name: String) -> Int32 {
        if let known = numbers[name] { return known }
        let number = Int32(names.count)
        names.append(name)
        numbers[name] = number
        return number
    }

    /// Prints `{"predictions":[...]}` as one line, a part at a time.
    func print() throws {
        var start = 0
        var text = "{\"predictions\":["
        for (index, end) in ends.enumerated() {
            let prediction = Predictor.Prediction(
                file: files[index],
                top: guesses[start..<end].map { .init(name: names[Int($0.name)], probability: $0.probability) })
            text += (index == 0 ? "" : ",") + (try Console.jsonText(prediction))
            start = end
            guard text.utf8.count > 1 << 16 else { continue }
            Console.piece(text)
            text = ""
        }
        Console.piece(text + "]}\n")
    }
}

extension PredictionFormat: ExpressibleByArgument {}
