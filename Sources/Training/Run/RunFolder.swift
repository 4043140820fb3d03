import Files
import Foundation
import ONNX
import Reports
import TensorCore

/// The folder of a run: `run.json`, `history.csv`, `last.checkpoint` with the one before it and `epochs.jsonl`, `best.onnx`, `report.html` with
/// `curves.svg` and `predictions.png`, and the history as events for TensorBoard.
///
/// One process at a time works in it. Every file is replaced as a whole, but `history.csv` and the events, which a resumed run
/// writes anew, and `epochs.jsonl`, of which a checkpoint says how many lines it counts on.
public struct RunFolder: Sendable {
    public let path: String
    private let lock: FolderLock
    private let epochs = SharedEpochLog()

    /// What came out of a run.
    public struct Summary: Sendable {
        public var output: String
        public var report: String
        public var accuracy: Double
        public var epoch: Int
    }

    /// Makes the folder with `run.json` and an empty `history.csv` in it; nil stands for `runs/<date-time>`.
    ///
    /// Throws when it exists or cannot be made: a run is never overwritten. It appears under its name with both files in it,
    /// so that a folder that is there can be resumed.
    public static func create(_ path: String?, _ record: RunRecord) throws -> RunFolder {
        let path = try free(path)
        let manager = FileManager.default
        let place = "\(Folder.containing(path))/.\(Folder.lastComponent(path)).\(UUID().uuidString).tmp"
        do {
            try Folder.make(place)
            let hidden = try RunFolder(existing: place)
            try hidden.write([EpochRecord]())
            try hidden.write(record)
            try manager.moveItem(atPath: place, toPath: path)
            return RunFolder(path: path, lock: hidden.lock)
        } catch {
            try? manager.removeItem(atPath: place)
            throw OutputError(path: path, reason: "the folder cannot be made: \(error.reason)")
        }
    }

    /// `path` if nothing is there yet; for nil a name of its own that begins with `stem`. Throws `SettingError` for
    /// an empty path, `OutputError` for one that exists.
    public static func free(_ path: String?, stem: String = "runs/") throws -> String {
        let manager = FileManager.default
        if let path {
            guard !path.isEmpty else { throw SettingError("--output", "expected the name of a folder") }
            guard !manager.fileExists(atPath: path) else {
                throw OutputError(path: path, reason: "exists already; give --output a name that is free")
            }
            // A folder's name may end with slashes.
            return path.count > 1 && path.hasSuffix("/") ? try free(String(path.dropLast())) : path
        }
        let formatter = DateFormatter()
        formatter.locale = Locale(identifier: "en_US_POSIX")
        formatter.dateFormat = "yyyy-MM-dd-HHmmss"
        let first = stem + formatter.string(from: Date())
        var candidate = first
        var number = 2
        while manager.fileExists(atPath: candidate) {
            candidate = "\(first)-\(number)"
            number += 1
        }
        return candidate
    }

    private init(path: String, lock: FolderLock) {
        self.path = path
        self.lock = lock
    }

    /// The folder of a run that was made before. Throws `FileError` when it is not there or in use.
    public init(existing path: String) throws {
        // Its files' names follow a slash of their own.
        let path = path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path
        self.init(path: path, lock: try FolderLock(path: path))
    }

    public var bestModel: String { "\(path)/best.onnx" }
    private var settings: String { "\(path)/run.json" }
    private var history: String { "\(path)/history.csv" }
    private var checkpoint: String { "\(path)/last.checkpoint" }
    private static let previousCheckpoint = "previous.checkpoint"

    // MARK: - Settings and history

    /// Writes `run.json`.
    public func write(_ record: RunRecord) throws { try AtomicFile.write(try record.json(), to: settings) }

    /// Reads `run.json`. Throws `OutputError` when there is none, or none that can be read.
    public func record() throws -> RunRecord {
        guard let text = try? String(contentsOfFile: settings, encoding: .utf8) else {
            throw OutputError(path: path, reason: "holds no run.json; --resume takes the folder of a run")
        }
        do {
            return try RunRecord(json: text)
        } catch {
            throw OutputError(path: settings, reason: "cannot be read: \(decodingProblem(error))")
        }
    }

    /// Writes `history.csv` and the events with `records` alone.
    public func write(_ records: [EpochRecord]) throws {
        try AtomicFile.write(([EpochRecord.header] + records.map(\.row)).joined(separator: "\n") + "\n", to: history)
        try EventFile.replace(in: path, with: records)
    }

    /// Adds an epoch to `history.csv` and to the events.
    public func append(_ record: EpochRecord) throws {
        try EventFile.last(in: path)?.append(record)
        guard let handle = FileHandle(forWritingAtPath: history) else {
            throw OutputError(path: history, reason: "cannot be written")
        }
        defer { try? handle.close() }
        do {
            try handle.seekToEnd()
            try handle.write(contentsOf: Data((record.row + "\n").utf8))
        } catch {
            throw OutputError(path: history, reason: error.reason)
        }
    }

    // MARK: - Checkpoints

    /// Writes `last.checkpoint`; the one that was there becomes `previous.checkpoint`. Throws `FileError`.
    public func save(_ checkpoint: Checkpoint, run: String) throws {
        let epochs = try epochs.extend(to: checkpoint.state.history, in: path)
        try checkpoint.write(
            to: self.checkpoint, run: run, previousName: RunFolder.previousCheckpoint, epochs: epochs)
    }

    /// The newest checkpoint that is whole, and what was wrong with a newer one; nil when there is none.
    public func latestCheckpoint(run: String) throws -> (checkpoint: Checkpoint?, problems: [String]) {
        var problems: [String] = []
        for path in [checkpoint, "\(path)/\(RunFolder.previousCheckpoint)"] {
            do {
                return (try Checkpoint(path: path, run: run), problems)
            } catch let error as FileError where error.reason == .missing {
                continue
            } catch {
                if case .otherRun? = error as? CheckpointError { throw error }
                problems.append("\(error)")
            }
        }
        return (nil, problems)
    }

    /// Whether there is a checkpoint, whole or not.
    public var hasCheckpoint: Bool {
        [checkpoint, "\(path)/\(RunFolder.previousCheckpoint)"].contains { FileManager.default.fileExists(atPath: $0) }
    }

    /// Removes the folder with all that is in it.
    func remove() { try? FileManager.default.removeItem(atPath: path) }

    // MARK: - Results

    /// Writes `best.onnx` with the best weights so far, and the report; nil when there are none. The run's own weights stay
    /// as they are.
    @discardableResult
    public func exportBest(_ run: FineTuneRun) throws -> Summary? {
        guard let best = run.trainer.best else { return nil }
        try run.module.withState(best.state) {
            try run.loaded.imported.write(to: bestModel, metadata: try run.metadata(best))
        }
        try RunReport(run)?.write(to: self)
        return Summary(output: bestModel, report: "\(path)/report.html", accuracy: best.accuracy, epoch: best.epoch)
    }
}

/// A place that cannot be written.
public struct OutputError: Error, CustomStringConvertible {
    public let path: String
    public let reason: String
    public var description: String { "\(path): \(reason)" }
}

/// What is wrong with a JSON text, in one line.
private func decodingProblem(_ error: any Error) -> String {
    func place(_ keys: [any CodingKey]) -> String { keys.map(\.stringValue).joined(separator: ".") }
    return switch error as? DecodingError {
    case .keyNotFound(let key, let context)?: "'\(place(context.codingPath + [key]))' is missing"
    case .typeMismatch(_, let context)?, .valueNotFound(_, let context)?:
        "'\(place(context.codingPath))' is of another kind than expected"
    case .dataCorrupted(let context)? where context.codingPath.isEmpty: "the text is not JSON"
    case .dataCorrupted(let context)?: "'\(place(context.codingPath))' has a value that is not known"
    default: "\(error)"
    }
}

extension Error {
    /// The system's words, without Foundation's wrapping.
    fileprivate var reason: String {
        if let error = self as? FileError { return "\(error.reason)" }
        let error = self as NSError
        return (error.userInfo[NSUnderlyingErrorKey] as? NSError)?.localizedDescription ?? error.localizedDescription
    }
}
