import ArgumentParser
import FineTune
import Foundation

/// The program's entry: parses, runs, and turns every error into one line and an exit status.
@main
struct Finetune: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "finetune",
        abstract: "Fine-tune an ONNX image classifier on your pictures and write it back as the same ONNX file.",
        discussion: """
            finetune --model resnet.onnx --unfreeze fc --data pictures/

            Without a subcommand, 'train' is meant.
            """,
        subcommands: [
            TrainCommand.self, EvaluateCommand.self, PredictCommand.self, DataCommand.self, SweepCommand.self,
            LRFindCommand.self,
            InspectCommand.self,
            RunCommand.self, BenchCommand.self,
            ExportCommand.self, ApplyCommand.self, DiffCommand.self, OpsCommand.self,
        ],
        defaultSubcommand: TrainCommand.self)

    static func main() {
        let arguments = Array(CommandLine.arguments.dropFirst())
        if arguments.first == "--version" {
            Version.print(verbose: arguments.contains("--verbose"))
            return
        }
        do {
            try checkSubcommand(arguments.first)
            try TrainCommand.checkResume(arguments)
            var command = try parseAsRoot(try ConfigFile.expand(arguments))
            try command.run()
        } catch {
            Foundation.exit(Finetune.report(error))
        }
    }

    /// Throws for a first word that is no subcommand; the default one would only call it unexpected.
    private static func checkSubcommand(_ word: String?) throws {
        let names = configuration.subcommands.compactMap { $0.configuration.commandName } + ["help"]
        guard let word, !word.hasPrefix("-"), !names.contains(word) else { return }
        throw ValidationError("There is no subcommand '\(word)'\(suggestion(for: word, among: names))")
    }

    /// Prints `error` and returns the exit status: 0 for help, 2 for usage, 1 for everything else.
    private static func report(_ error: any Error) -> Int32 {
        if let broken = error as? BrokenRun {
            let status = report(broken.error)
            for line in broken.advice { Console.note(line) }
            return status
        }
        let code = exitCode(for: error)
        if let stopped = error as? RunStopped {
            Console.note("\(stopped)")
            return 128 + stopped.signal
        }
        if code == .success {
            print(fullMessage(for: error))
            return 0
        }
        if code == .validationFailure {
            // Suggestions of the parser stand on a line of their own.
            let text = message(for: error).split(separator: "\n").joined(separator: " ")
            Console.error("\(text)\(text.hasSuffix("?") ? "" : ";") finetune --help lists the options")
            return 2
        }
        if error is SettingError || error is ParameterPatternError {
            Console.error("\(error)")
            return 2
        }
        Console.error("\(error)")
        return 1
    }
}
