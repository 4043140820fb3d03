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

            Without a subcommand, 'train' is meant: 'finetune help train' lists its options.
            """,
        version: "finetune \(Version.number)",
        subcommands: [
            TrainCommand.self, EvaluateCommand.self, PredictCommand.self, DataCommand.self, SweepCommand.self,
            LRFindCommand.self,
            InspectCommand.self,
            RunCommand.self, BenchCommand.self,
            ExportCommand.self, ApplyCommand.self, DiffCommand.self, OpsCommand.self,
        ],
        defaultSubcommand: TrainCommand.self)

    static func main() {
        let arguments = joiningNegativeNumbers(Array(CommandLine.arguments.dropFirst()))
        if arguments.first == "--version" {
            Version.print(verbose: arguments.contains("--verbose"))
            return
        }
        var config: ConfigFile?
        do {
            try checkEncoding()
            try checkSubcommand(arguments.first)
            if subcommand(arguments) == TrainCommand.self {
                try TrainCommand.checkResume(arguments)
                config = try ConfigFile(namedIn: arguments)
            }
            var command = try parseAsRoot(config?.words ?? arguments)
            try command.run()
        } catch {
            Foundation.exit(Finetune.report(error, arguments, config))
        }
    }

    /// `--lr -1` as `--lr=-1`: the parser would take the number for an option.
    private static func joiningNegativeNumbers(_ words: [String]) -> [String] {
        words.reduce(into: []) { result, word in
            if let last = result.last, last.hasPrefix("--"), last.count > 2, !last.contains("="),
                word.wholeMatch(of: /-[0-9.].*/) != nil
            {
                result[result.count - 1] = "\(last)=\(word)"
            } else {
                result.append(word)
            }
        }
    }

    /// Throws for an argument that Swift's strings cannot hold: a file of that name would not be found.
    private static func checkEncoding() throws {
        for index in 0..<Int(CommandLine.argc) {
            guard let word = CommandLine.unsafeArgv[index], String(validatingCString: word) == nil else { continue }
            throw UsageError("the argument '\(String(cString: word))' is not UTF-8; give the file a name that is")
        }
    }

    /// Throws for a first word that is no subcommand; the default one would only call it unexpected.
    private static func checkSubcommand(_ word: String?) throws {
        let names = configuration.subcommands.compactMap { $0.configuration.commandName } + ["help"]
        guard let word, !word.hasPrefix("-"), !names.contains(word) else { return }
        let near = suggestion(for: word, among: names)
        throw UsageError(
            "There is no subcommand '\(word)'\(near.isEmpty ? "; finetune --help lists them" : near)")
    }

    /// The subcommand that is meant.
    private static func subcommand(_ words: [String]) -> any ParsableCommand.Type {
        configuration.subcommands.first { $0.configuration.commandName == words.first } ?? TrainCommand.self
    }

    // MARK: - Errors

    /// Prints `error` and returns the exit status: 0 for help, 2 for usage, 1 for everything else.
    private static func report(_ error: any Error, _ words: [String], _ config: ConfigFile?) -> Int32 {
        if let broken = error as? BrokenRun {
            let status = report(broken.error, words, config)
            for line in broken.advice { Console.note(line) }
            return status
        }
        if let stopped = error as? RunStopped {
            Console.note("\(stopped)")
            return 128 + stopped.signal
        }
        let code = exitCode(for: error)
        if code == .success {
            Console.text(fullMessage(for: error))
            return 0
        }
        let isParsers = code == .validationFailure
        let text = isParsers ? usageText(error, words) : "\(error)\(remedy(error))"
        Console.error(config?.located(text) ?? text)
        return isParsers || error is SettingError || error is ParameterPatternError || error is UsageError ? 2 : 1
    }

    /// The parser's words for a mistake, and where to read more.
    private static func usageText(_ error: any Error, _ words: [String]) -> String {
        let command = subcommand(words)
        // Suggestions of the parser stand on a line of their own.
        var text = message(for: error).split(separator: "\n").joined(separator: " ")
        // The parser misses an option before it sees that another one is misspelt.
        if text.hasPrefix("Missing expected argument") || text.hasPrefix("Unknown option '--"),
            let unknown = unknownOption(words, of: command)
        {
            text = unknown
        }
        let dashed = words.first { $0.hasPrefix("-") && $0 != "-" && (try? FileStatus(path: $0)) != nil }
        if let dashed { return "\(text); the file '\(dashed)' is meant by './\(dashed)'" }
        if text.hasPrefix("Unknown option '--model'") {
            let name = command.configuration.commandName ?? ""
            return "\(name) takes the model without an option: finetune \(name) FILE.onnx"
        }
        if text.hasSuffix("?") { return text }
        if text.hasSuffix(".") { text.removeLast() }
        return "\(text); finetune help \(command.configuration.commandName ?? "") lists the options"
    }

    /// The first of `words` that looks like an option and is none of `command`.
    private static func unknownOption(_ words: [String], of command: any ParsableCommand.Type) -> String? {
        let help = helpMessage(for: command, includeHidden: true, columns: 1000)
        let known = Set(help.matches(of: /--[a-z][a-z-]*/).map { String($0.output) } + ["--version"]).sorted()
        let given = words.prefix { $0 != "--" }.filter { $0.hasPrefix("--") }.map { String($0.prefix { $0 != "=" }) }
        return given.first { !known.contains($0) }.map { "Unknown option '\($0)'\(suggestion(for: $0, among: known))" }
    }

    /// What else helps, beside what the error itself says.
    private static func remedy(_ error: any Error) -> String {
        switch (error as? PictureError)?.reason {
        case .empty?, .unknownFormat?, .unsupported?, .tooLarge?, .truncated?, .corrupt?:
            "; --skip-bad-pictures leaves such pictures out"
        case .file?, .outOfMemory?, .wrongSize?, nil: ""
        }
    }
}

/// A mistake in the command that no option's description would explain.
struct UsageError: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}
