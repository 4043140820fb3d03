import ArgumentParser
import FineTune
import Foundation

/// What a person waits for before anything happens.
struct StartBenchmark: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "start", abstract: "The program's start, and looking into a model.")
    @OptionGroup var model: ModelOption
    @Option(help: "The program.") var program = ".build/release/finetune"

    func run() throws {
        for arguments in [["--version"], ["inspect", model.model]] {
            let timing = try Timing.of(repeats: 9) { try launch(arguments) }
            print(
                String(format: "%.0f ms at best, %.0f in the median: ", timing.best * 1e3, timing.median * 1e3)
                    + "finetune \(arguments.joined(separator: " "))")
        }
    }

    private func launch(_ arguments: [String]) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = arguments
        process.standardOutput = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw ValidationError("\(program) failed: is it built?") }
    }
}
