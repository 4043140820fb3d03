import ArgumentParser
import FineTune
import Foundation

/// `finetune predict`: the likeliest classes of pictures.
struct PredictCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "predict", abstract: "The likeliest classes of pictures.")

    @OptionGroup(title: "Model") var model: ModelOptions
    @Argument(help: "Picture files.") var pictures: [String]
    @Option(help: "Classes shown per picture.") var top = 5
    @Option(help: "CPU threads; 0 means all.") var threads = 0
    @OptionGroup(title: "Output") var output: OutputOptions

    func validate() throws {
        guard top >= 1 else { throw ValidationError("--top: \(top) is not a positive number") }
    }

    func run() throws {
        Parallel.setThreadCount(threads)
        let predictor = try Predictor(
            LoadedModel(path: ModelOptions.resolve(model.model), overrides: model.overrides))
        if !output.quiet { for note in predictor.loaded.notes { Console.note(note) } }
        let guesses = try predictor.predict(pictures, top: top)
        for (picture, guesses) in zip(pictures, guesses) {
            let text = guesses.map { String(format: "%@ %.4f", $0.name, $0.probability) }.joined(separator: ", ")
            Console.line("\(picture): \(text)")
        }
        if output.json {
            try Console.json(
                Report(
                    predictions: zip(pictures, guesses).map { file, guesses in
                        .init(file: file, top: guesses.map { .init(class: $0.name, probability: $0.probability) })
                    }))
        }
    }

    private struct Report: Encodable {
        struct Guess: Encodable {
            var `class`: String
            var probability: Double
        }
        struct Prediction: Encodable {
            var file: String
            var top: [Guess]
        }
        var predictions: [Prediction]
    }
}
