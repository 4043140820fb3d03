import Files
import Foundation
import GraphIR
import TensorCore
import Vision

/// A run in its folder: trains, writes checkpoints, can be stopped at any moment and gone on with.
public final class RunSession {
    public let run: FineTuneRun
    public let folder: RunFolder
    public private(set) var record: RunRecord
    /// What a user should know about how this goes on from an earlier process.
    public let notes: [String]
    /// Those of `notes` that tell of something lost.
    public let problems: [String]
    /// What `best.onnx` holds, when this process has written it.
    public private(set) var exported: RunFolder.Summary?
    private var identity: String?
    /// Whether this process made the folder.
    private let isNew: Bool

    private init(
        run: FineTuneRun, folder: RunFolder, record: RunRecord, notes: [String] = [], problems: [String] = [],
        isNew: Bool
    ) throws {
        self.run = run
        self.folder = folder
        self.record = record
        self.notes = problems + notes
        self.problems = problems
        self.isNew = isNew
        identity = record.namesContents ? try record.identity() : nil
    }

    /// Prepares a run and makes its folder; see `RunFolder.create`. Throws what `FineTuneRun` throws.
    ///
    /// - `features`: a store that other runs of the process use, too.
    public static func begin(
        _ settings: RunSettings, output: String?, features: FeatureStore? = nil
    ) throws -> RunSession {
        let output = try output.map { try RunFolder.free($0) }
        let run = try FineTuneRun(settings, features: features)
        let record = try RunRecord(run, waiting: false)
        return try RunSession(run: run, folder: try RunFolder.create(output, record), record: record, isNew: true)
    }

    /// Names the run, waiting until it is known what its pictures contain.
    private func identify() throws -> String {
        if let identity { return identity }
        record.nameContents(of: run)
        try folder.write(record)
        let identity = try record.identity()
        self.identity = identity
        return identity
    }

    /// Takes up the run in `path` at its last checkpoint, or at its start when there is none yet.
    ///
    /// Throws `ResumeError` when model or pictures have changed since, `OutputError` for a folder that holds no run,
    /// `FileError` for one that another process works in.
    public static func resume(_ path: String) throws -> RunSession {
        guard !path.isEmpty else { throw SettingError("--resume", "expected the folder of a run") }
        let folder = try RunFolder(existing: path)
        var record = try folder.record()
        let run = try FineTuneRun(record.locatedSettings())
        let now = try RunRecord(run)
        try record.check(now)
        if !record.namesContents {
            // It was killed before it knew, and thus without a checkpoint.
            record.data = now.data
            try folder.write(record)
        }
        let (checkpoint, problems) = try folder.latestCheckpoint(run: record.identity())
        var notes: [String] = []
        if let checkpoint { try run.trainer.restore(checkpoint) }
        if record.machine.kernels != RunRecord.Machine.current.kernels {
            notes.append(
                "the run began with \(record.machine.kernels), this is \(RunRecord.Machine.current.kernels): "
                    + "numbers may differ in the last digits")
        }
        notes.append("resuming '\(folder.path)' \(run.trainer.whereabouts)")
        try folder.write(run.trainer.history)
        return try RunSession(
            run: run, folder: folder, record: record, notes: notes, problems: problems, isNew: false)
    }

    /// Trains to the end, writing a checkpoint after every epoch and, within epochs, every `interval` seconds.
    ///
    /// - `stop`: asked after each batch; a signal number makes the run write a checkpoint and throw `RunStopped`.
    /// - `onBatch`, `onEpoch`: as in `Trainer.run`.
    /// - Throws: also `FileError` when a checkpoint cannot be written; the one before it is intact. An error that
    ///   `isFinal` takes a new folder without a checkpoint away.
    public func train(
        every interval: Double = 60, stop: () -> Int32? = { nil }, onBatch: (Progress) throws -> Void = { _ in },
        onEpoch: (EpochRecord) throws -> Void = { _ in }
    ) throws -> RunFolder.Summary {
        var saved = ContinuousClock.now
        func save() throws {
            try folder.save(run.trainer.checkpoint(), run: identify())
            saved = .now
        }
        func checkStop() throws {
            guard let signal = stop() else { return }
            try save()
            exported = try folder.exportBest(run)
            throw RunStopped(signal: signal, whereabouts: run.trainer.whereabouts)
        }
        do {
            try run.trainer.run(
                onBatch: { progress in
                    if progress.batchOfEpoch == 1 { run.loaded.imported.releasePages() }
                    try onBatch(progress)
                    try checkStop()
                    if identity == nil && run.waitForPictures() { _ = try identify() }
                    if identity != nil, (ContinuousClock.now - saved) / .seconds(1) >= interval { try save() }
                },
                onEpoch: { record in
                    try folder.append(record)
                    try onEpoch(record)
                    try save()
                })
        } catch {
            // The reason to stop matters more than a failure to write what there is.
            if error is TrainingError { exported = try? folder.exportBest(run) }
            if isNew && isFinal(error) && !folder.hasCheckpoint { folder.remove() }
            throw error
        }
        return try finish()
    }

    /// Whether going on would meet `error` again: it comes from the model, the pictures or the settings, which stay.
    public func isFinal(_ error: any Error) -> Bool {
        // A run also writes a picture, into its folder.
        if let error = error as? PictureError { return !error.path.hasPrefix(folder.path + "/") }
        return error is TrainingError || error is GraphError
    }

    private func finish() throws -> RunFolder.Summary {
        guard let summary = try folder.exportBest(run) else {
            throw OutputError(path: folder.path, reason: "nothing was trained")
        }
        exported = summary
        let history = run.trainer.history
        record.outcome = RunRecord.Outcome(
            epochs: history.count, bestEpoch: summary.epoch, bestValAccuracy: summary.accuracy,
            seconds: history.reduce(0) { $0 + $1.seconds })
        try folder.write(record)
        return summary
    }
}

/// A run that was asked to stop, and did so between two batches with a checkpoint written.
public struct RunStopped: Error, CustomStringConvertible {
    public let signal: Int32
    /// `in epoch 3, train batch 12`.
    public let whereabouts: String
    public var description: String { "stopped \(whereabouts)" }

    public init(signal: Int32, whereabouts: String) {
        self.signal = signal
        self.whereabouts = whereabouts
    }
}

/// A run that cannot be gone on with.
public enum ResumeError: Error, Equatable, CustomStringConvertible {
    case modelChanged(path: String)
    case picturesChanged(source: String, part: Phase)

    public var description: String {
        switch self {
        case .modelChanged(let path):
            "\(path): is not the model that the run began with (its checksum differs); put that one back, or begin a new run"
        case .picturesChanged(let source, let part):
            "\(source): the \(part.rawValue) pictures are not those that the run began with (their checksum differs); put "
                + "them back, or begin a new run"
        }
    }
}

extension RunRecord {
    /// The settings with paths that lead to the files from here.
    func locatedSettings() -> RunSettings {
        var result = settings
        result.model = RunRecord.located(result.model, from: directory)
        result.data = result.data.map { RunRecord.located($0, from: directory) }
        return result
    }

    /// A path that was relative to `directory`, where there is something at it, as one from here.
    public static func located(_ path: String, from directory: String) -> String {
        guard !path.hasPrefix("/"), directory != FileManager.default.currentDirectoryPath else { return path }
        let there = "\(directory)/\(path)"
        return FileManager.default.fileExists(atPath: there) ? there : path
    }

    /// Throws `ResumeError` unless `now` has this record's model and pictures.
    func check(_ now: RunRecord) throws {
        guard now.model == model else { throw ResumeError.modelChanged(path: now.settings.model) }
        func isSame(_ now: RunRecord.Pictures, _ then: RunRecord.Pictures) -> Bool {
            now.count == then.count && (then.sha256 == nil || now.sha256 == then.sha256)
        }
        guard isSame(now.data.train, data.train), now.data.classes == data.classes else {
            throw ResumeError.picturesChanged(source: now.data.source, part: .train)
        }
        guard isSame(now.data.val, data.val) else {
            throw ResumeError.picturesChanged(source: now.data.source, part: .val)
        }
    }
}

extension Trainer {
    /// `in epoch 3, train batch 12`, for people.
    var whereabouts: String {
        if isFinished { return "after its last epoch" }
        let epoch = history.count + 1
        guard position.phase == .val || position.batch > 0 else {
            return epoch == 1 ? "before its first epoch" : "after epoch \(epoch - 1)"
        }
        return "in epoch \(epoch), after \(position.phase.rawValue) batch \(position.batch)"
    }
}
