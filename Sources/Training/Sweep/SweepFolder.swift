import Files
import Foundation
import Reports

/// The folder that a sweep writes: `sweep.csv`, `sweep.json`, `sweep.html`, `best.onnx`.
public struct SweepFolder: Sendable {
    public let path: String

    /// Makes the folder; nil stands for `runs/sweep-<date-time>`. Throws when it exists or cannot be made.
    public init(creating path: String?) throws {
        self.path = try RunFolder.free(path, stem: "runs/sweep-")
        do {
            try Folder.make(self.path)
        } catch {
            throw OutputError(path: self.path, reason: "the folder cannot be made: \(error.reason)")
        }
    }

    /// Takes the folder away if nothing was written into it.
    public func removeIfEmpty() { rmdir(path) }

    public var bestModel: String { "\(path)/best.onnx" }
    public var page: String { "\(path)/sweep.html" }

    /// Writes everything; `best.onnx` is missing when every run broke off. Throws `FileError`, `ONNXError`.
    public func write(_ result: SweepResult, of sweep: Sweep) throws {
        try AtomicFile.write(result.csv, to: "\(path)/sweep.csv")
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        encoder.keyEncodingStrategy = .convertToSnakeCase
        let record = Record(base: sweep.base, axes: result.axes, seeds: result.seeds, settings: result.settings)
        try AtomicFile.write(
            String(decoding: try encoder.encode(record), as: UTF8.self) + "\n", to: "\(path)/sweep.json")
        try AtomicFile.write(result.page, to: page)
        if let run = result.winner, let best = run.trainer.best {
            try run.loaded.imported.write(to: bestModel, metadata: try run.metadata(best))
        }
    }

    private struct Record: Encodable {
        var base: RunSettings
        var axes: [String]
        var seeds: [UInt64]
        var settings: [Sweep.Setting]
    }
}

extension SweepResult {
    /// A row for each run, ranked: `rank`, a column for each varying setting, `seed`, `val_accuracy`, `val_loss`, `epoch`,
    /// `seconds`, `failure`.
    public var csv: String {
        let header = ["rank"] + axes + ["seed", "val_accuracy", "val_loss", "epoch", "seconds", "failure"]
        var rows = [header]
        for (rank, setting) in settings.enumerated() {
            for trial in setting.trials {
                let accuracy = trial.accuracy.map { "\($0)" } ?? ""
                let loss = trial.loss.map { "\($0)" } ?? ""
                let epoch = trial.epoch.map { "\($0)" } ?? ""
                let seconds = String(format: "%.3f", trial.seconds)
                let results: [String] = ["\(trial.seed)", accuracy, loss, epoch, seconds, trial.failure ?? ""]
                rows.append(["\(rank + 1)"] + setting.values + results)
            }
        }
        return rows.map { DelimitedRow.csv($0) + "\n" }.joined()
    }
}
