import ArgumentParser
import FineTune
import Foundation

/// How forward passes gain from threads: one and all of them take turns, so that both meet the machine at the same speeds.
struct PlanBenchmark: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "plan", abstract: "Forward passes of a frozen model, with one thread and with all.")
    @OptionGroup var model: ModelOption
    @OptionGroup var scaling: ScalingOptions

    func run() throws { try scaling.measure(model.model, unfreeze: []) }
}

/// The same of training steps.
struct StepBenchmarks: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "step", abstract: "Training steps, with one thread and with all.")
    @OptionGroup var model: ModelOption
    @OptionGroup var scaling: ScalingOptions
    @Option(help: "What is trained.") var unfreeze = ["all"]

    func run() throws { for pattern in unfreeze { try scaling.measure(model.model, unfreeze: [pattern]) } }
}

struct ScalingOptions: ParsableArguments {
    @Option(help: "Pictures at a time.") var batchSize = [32, 4]
    @Option(help: "Turns of one thread and of all.") var rounds = 5

    func measure(_ path: String, unfreeze: [String]) throws {
        let all = Parallel.threadCount
        for batch in batchSize {
            var options = StepBenchmark.Options()
            options.batchSize = batch
            options.unfreeze = unfreeze
            var (one, many, ratios) = (Timing(), Timing(), [Double]())
            for _ in 0..<rounds {
                Parallel.setThreadCount(1)
                let slow = try StepBenchmark.run(path: path, options: options).msPerImageMin
                Parallel.setThreadCount(all)
                let fast = try StepBenchmark.run(path: path, options: options).msPerImageMin
                one.add(slow)
                many.add(fast)
                ratios.append(slow / fast)
            }
            print(
                "\(unfreeze.first.map { "step, \($0) unfrozen" } ?? "forward"), batch \(batch): "
                    + String(
                        format: "%.2f ms per picture on 1 thread, %.2f on %d; %.2f times as fast (%.2f to %.2f)",
                        one.best, many.best, all, ratios.sorted()[rounds / 2], ratios.min() ?? 0, ratios.max() ?? 0))
        }
    }
}
