import Files
import Foundation
import Safetensors
import TensorCore

/// A run between two batches: what going on to the same end, bit for bit, needs beside the model and the pictures.
///
/// On the disk it is a safetensors file. Tensors: `weights/NAME` and `best/NAME` for each parameter and running statistic that
/// training moves (NAME being its path) and `optimizer/KEY` for the optimizer's arrays. Metadata: `format`
/// (`finetune.checkpoint/1`), `run` (which run it belongs to), `state` (a `TrainerState` as JSON) and `sha256` over all of it.
///
/// In a run's folder the epochs that are done are not in `state` but in a file that grows with them (`EpochLog`): `format` is then
/// `finetune.checkpoint/2`, and `epochs` tells how many of its lines belong to the checkpoint and their digest.
public struct Checkpoint: Sendable {
    public static let format = "finetune.checkpoint/1"
    /// Of one whose epochs are in a file beside it.
    static let formatWithLog = "finetune.checkpoint/2"

    public var state: TrainerState
    public var weights: [String: NDArray]
    /// The weights that did best on the validation pictures; empty before the first epoch is over.
    public var best: [String: NDArray]
    public var optimizer: [String: NDArray]

    init(state: TrainerState, weights: [String: NDArray], best: [String: NDArray], optimizer: [String: NDArray]) {
        self.state = state
        self.weights = weights
        self.best = best
        self.optimizer = optimizer
    }

    /// Reads a checkpoint of the run `run`, with the epochs that a file beside it holds. Throws `CheckpointError` for one that
    /// is damaged or another run's, `FileError` for a file that cannot be read.
    public init(path: String, run: String) throws {
        let file: SafetensorsFile
        do {
            file = try SafetensorsFile(path: path, access: .copied)
        } catch is SafetensorsError {
            throw CheckpointError.damaged(path: path, reason: "not a complete safetensors file")
        }
        let metadata = file.metadata
        let epochs = metadata["epochs"]
        guard metadata["format"] == (epochs == nil ? Checkpoint.format : Checkpoint.formatWithLog),
            let text = metadata["state"], let owner = metadata["run"]
        else {
            throw CheckpointError.damaged(
                path: path, reason: "not of the format \(Checkpoint.format) or \(Checkpoint.formatWithLog)")
        }
        let tensors = try file.tensors()
        guard metadata["sha256"] == Checkpoint.digest(run: owner, state: text, epochs: epochs, tensors) else {
            throw CheckpointError.damaged(path: path, reason: "its checksum is wrong")
        }
        guard owner == run else { throw CheckpointError.otherRun(path: path) }
        do {
            state = try JSONDecoder().decode(TrainerState.self, from: Data(text.utf8))
        } catch {
            throw CheckpointError.damaged(path: path, reason: "its state cannot be read")
        }
        if let epochs {
            guard let history = EpochLog.records(epochs, in: Folder.containing(path)) else {
                throw CheckpointError.damaged(
                    path: path, reason: "\(EpochLog.name) beside it does not hold the epochs that it counts on")
            }
            state.history = history
        }
        func part(_ prefix: String) -> [String: NDArray] {
            Dictionary(
                uniqueKeysWithValues: tensors.filter { $0.key.hasPrefix(prefix) }
                    .map { (String($0.key.dropFirst(prefix.count)), $0.value) })
        }
        weights = part("weights/")
        best = part("best/")
        optimizer = part("optimizer/")
    }

    /// Writes the checkpoint, complete or not at all. A checkpoint that was there keeps `previousName` beside it.
    ///
    /// Throws `FileError`; the old checkpoint is then still there, under its own name or under `previousName`.
    public func write(to path: String, run: String, previousName: String) throws {
        try write(to: path, run: run, previousName: previousName, epochs: nil)
    }

    /// The same; where `epochs` tells which lines of an `EpochLog` in the same folder hold the epochs, without them.
    func write(to path: String, run: String, previousName: String, epochs: String?) throws {
        var state = state
        if epochs != nil { state.history = [] }
        var tensors: [String: NDArray] = [:]
        for (prefix, part) in [("weights/", weights), ("best/", best), ("optimizer/", optimizer)] {
            for (name, array) in part { tensors[prefix + name] = array }
        }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let text = String(decoding: try encoder.encode(state), as: UTF8.self)
        var metadata = [
            "format": epochs == nil ? Checkpoint.format : Checkpoint.formatWithLog, "run": run, "state": text,
            "sha256": Checkpoint.digest(run: run, state: text, epochs: epochs, tensors),
        ]
        metadata["epochs"] = epochs
        try Safetensors.write(tensors, metadata: metadata, to: path, previousName: previousName)
    }

    /// SHA-256 of the texts and, in order of names, of each tensor's name, type, shape and little-endian bytes.
    private static func digest(
        run: String, state: String, epochs: String?, _ tensors: [String: NDArray]
    ) -> String {
        var hash = SHA256()
        hash.update(Array("\(epochs == nil ? format : formatWithLog)\n\(run)\n\(state)\n".utf8))
        if let epochs { hash.update(Array("\(epochs)\n".utf8)) }
        for (name, array) in tensors.sorted(by: { $0.key < $1.key }) {
            hash.update(Array("\(name) \(array.dtype) \(array.shape)\n".utf8))
            array.withLittleEndianBytes { hash.update($0) }
        }
        return hash.hexDigest()
    }
}

/// A checkpoint that cannot be used.
public enum CheckpointError: Error, Equatable {
    /// Half written or changed since.
    case damaged(path: String, reason: String)
    case otherRun(path: String)
    /// Not of this model and these settings.
    case mismatch(String)
}

extension CheckpointError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .damaged(let path, let reason): "\(path): a damaged checkpoint: \(reason)"
        case .otherRun(let path): "\(path): a checkpoint of another run, with other settings, model or pictures"
        case .mismatch(let reason): "the checkpoint does not fit the run: \(reason)"
        }
    }
}
