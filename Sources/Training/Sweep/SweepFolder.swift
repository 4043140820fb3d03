import Files
import Foundation
import Reports

/// The folder that a sweep writes: `sweep.csv`, `sweep.json`, `sweep.html`, `best.onnx`.
public struct SweepFolder: Sendable {
    public private(set) var path: String

    /// Finds a place for the folder; nil stands for `runs/sweep-<date-time>`. Throws when it exists or cannot be made: `write`
    /// makes it, so that a sweep that comes to nothing leaves nothing.
    public init(free path: String?) throws {
        self.path = try RunFolder.free(path, stem: "runs/sweep-")
        try make()
        rmdir(self.path)
    }

    private func make() throws {
        do {
            try Folder.make(path)
        } catch {
            throw OutputError(path: path, reason: "the folder cannot be made: \(error.reason)")
        }
    }

    public var bestModel: String { "\(path)/best.onnx" }
    public var page: String { "\(path)/sweep.html" }

    /// Writes everything; `best.onnx` is missing when every run broke off. Throws `FileError`, `ONNXError`.
    ///
    /// Where another sweep has taken the name meanwhile, the folder gets one beside it.
    public mutating func write(_ result: SweepResult, of sweep: Sweep) throws {
        if FileManager.default.fileExists(atPath: path) { path = try RunFolder.free(nil, stem: path + "-") }
        try make()
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
