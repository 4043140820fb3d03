import Files
import Foundation
import ONNX
import TensorCore

/// The folder that a run writes: `best.onnx`, `history.csv`, `run.json`.
public struct RunFolder: Sendable {
    public let path: String

    /// What came out of a run.
    public struct Summary: Sendable {
        public var output: String
        public var accuracy: Double
        public var epoch: Int
    }

    /// Makes the folder; nil stands for `runs/<date-time>`. Throws when it exists or cannot be made: a run is never
    /// overwritten.
    public static func create(_ path: String?) throws -> RunFolder {
        let manager = FileManager.default
        if let path {
            if manager.fileExists(atPath: path) {
                throw SettingError("--output", "'\(path)' exists already; a run is never overwritten")
            }
            return try make(path)
        }
        let formatter = DateFormatter()
        formatter.locale = Locale(identifier: "en_US_POSIX")
        formatter.dateFormat = "yyyy-MM-dd-HHmmss"
        let stem = "runs/\(formatter.string(from: Date()))"
        var candidate = stem
        var number = 2
        while manager.fileExists(atPath: candidate) {
            candidate = "\(stem)-\(number)"
            number += 1
        }
        return try make(candidate)
    }

    private static func make(_ path: String) throws -> RunFolder {
        do {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        } catch {
            throw OutputError(path: path, reason: "the folder cannot be made: \(error.reason)")
        }
        let folder = RunFolder(path: path)
        try AtomicFile.write(
            "epoch,train_loss,train_accuracy,val_loss,val_accuracy,learning_rate,seconds\n", to: folder.history)
        return folder
    }

    private var history: String { "\(path)/history.csv" }
    public var bestModel: String { "\(path)/best.onnx" }

    /// Adds an epoch to `history.csv`.
    public func append(_ record: EpochRecord) throws {
        let line = [
            "\(record.epoch)", "\(record.train.loss)", "\(record.train.accuracy)", "\(record.val.loss)",
            "\(record.val.accuracy)", "\(record.learningRate)", String(format: "%.3f", record.seconds),
        ].joined(separator: ",")
        guard let handle = FileHandle(forWritingAtPath: history) else {
            throw OutputError(path: history, reason: "cannot be written")
        }
        defer { try? handle.close() }
        do {
            try handle.seekToEnd()
            try handle.write(contentsOf: Data((line + "\n").utf8))
        } catch {
            throw OutputError(path: history, reason: error.reason)
        }
    }

    /// Writes the best weights and the settings.
    public func finish(_ run: FineTuneRun) throws -> Summary {
        guard let best = run.trainer.best else { throw OutputError(path: path, reason: "nothing was trained") }
        try run.loaded.imported.write(to: bestModel, metadata: try run.metadata(best))
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        encoder.keyEncodingStrategy = .convertToSnakeCase
        let json = String(decoding: try encoder.encode(run.settings), as: UTF8.self)
        try AtomicFile.write(json + "\n", to: "\(path)/run.json")
        return Summary(output: bestModel, accuracy: best.accuracy, epoch: best.epoch)
    }
}

/// A place that cannot be written.
public struct OutputError: Error, CustomStringConvertible {
    public let path: String
    public let reason: String
    public var description: String { "\(path): \(reason)" }
}

extension Error {
    /// The system's words, without Foundation's wrapping.
    fileprivate var reason: String {
        let error = self as NSError
        return (error.userInfo[NSUnderlyingErrorKey] as? NSError)?.localizedDescription ?? error.localizedDescription
    }
}

extension FineTuneRun {
    /// What `best.onnx` says about itself.
    func metadata(_ best: Trainer.Best) throws -> [(key: String, value: String)] {
        var preprocessing = loaded.preprocessing
        preprocessing.augment = augmentation
        return try ModelCard(classes: data.classes, preprocessing: preprocessing).metadata() + [
            ("finetune.base_sha256", loaded.imported.file.bytes.sha256()),
            ("finetune.unfrozen", unfrozen.names.joined(separator: ",")),
            ("finetune.epoch", "\(best.epoch)"), ("finetune.val_accuracy", "\(best.accuracy)"),
        ]
    }

    /// Numbers that training moves.
    public var trainableElements: Int { unfrozen.elements }
}
