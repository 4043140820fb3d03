import ArgumentParser
import FineTune
import Foundation

/// From file to modules, and what it takes.
struct LoadBenchmark: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "load", abstract: "A model file to modules: time and memory.")
    @OptionGroup var model: ModelOption

    func run() throws {
        let before = ProcessMemory.peakMegabytes
        let first = try ImportedModel(path: model.model)
        let peak = ProcessMemory.peakMegabytes - before
        let timing = try Timing.of(repeats: 7) { _ = try ImportedModel(path: model.model) }
        let size = Double(first.file.bytes.count) / 1_048_576
        print(
            String(
                format: "%.1f ms for %.1f MB; at the peak %.1f MB more than before, %.2f times the file",
                timing.best * 1e3, size, peak, peak / size))
    }
}
