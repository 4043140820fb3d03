import ArgumentParser
import FineTune

/// Times the parts of finetune, each alone. `peers.py` beside this package times the whole beside PyTorch and ONNX Runtime.
///
///     swift run -c release --package-path Benchmarks benchmarks kernels
@main
struct Benchmarks: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "benchmarks", abstract: "Time the parts of finetune, each alone.",
        subcommands: [
            KernelsBenchmark.self, PlanBenchmark.self, StepBenchmarks.self, PipelineBenchmark.self, LoadBenchmark.self,
            StartBenchmark.self, RecordingBenchmark.self,
        ])
}

/// Times of one thing, in seconds.
struct Timing {
    private var times: [Double] = []

    /// Runs `body` once untimed and then `repeats` times.
    static func of(repeats: Int, _ body: () throws -> Void) rethrows -> Timing {
        try body()
        var timing = Timing()
        for _ in 0..<repeats { try timing.add(body) }
        return timing
    }

    mutating func add(_ body: () throws -> Void) rethrows {
        add(try ContinuousClock().measure(body) / .seconds(1))
    }

    mutating func add(_ seconds: Double) { times.append(seconds) }

    var best: Double { times.min() ?? 0 }
    var median: Double { times.sorted()[times.count / 2] }
}

/// A model and, if the bundled one will not do, where it is.
struct ModelOption: ParsableArguments {
    @Option(help: "The ONNX file.") var model = "models/resnet-tiny.onnx"
}
