import ArgumentParser
import FineTune
import Foundation

/// `finetune bench`: how long a step takes.
struct BenchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench", abstract: "Time a step on random pictures.",
        discussion: "Without --unfreeze (or with --task eval) the forward pass, else a whole training step.")

    @Option(help: ArgumentHelp("The ONNX file.", valueName: "file")) var model: String
    @Option(help: ArgumentHelp("What is trained in the step.", valueName: "pattern")) var unfreeze: [String] = []
    @Option(help: "'eval' times the forward pass whatever is unfrozen.") var task: String?
    @Option(help: "Pictures per step.") var batchSize = 32
    @Option(help: "Steps that are timed.") var repeats = 7
    @Option(help: ArgumentHelp("Side of the square input.", valueName: "pixels")) var imageSize: Int?
    @Option(help: "CPU threads; 0 means all.") var threads = 0
    @OptionGroup(title: "Output") var output: OutputOptions

    func validate() throws {
        guard task == nil || task == "eval" else { throw ValidationError("--task: '\(task ?? "")' is not 'eval'") }
    }

    func run() throws {
        try useThreads(threads)
        var options = StepBenchmark.Options()
        options.batchSize = batchSize
        options.repeats = repeats
        options.imageSize = imageSize
        options.unfreeze = task == "eval" ? [] : unfreeze
        let result = try StepBenchmark.run(path: ModelOptions.resolve(model), options: options)
        Console.line(
            String(
                format: "%.3f ms per picture at best, %.3f in the median, %.0f MB at the peak", result.msPerImageMin,
                result.msPerImageMedian, result.peakRssMb))
        if output.json { try Console.json(result) }
    }
}
