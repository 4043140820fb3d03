import Files
import Foundation
import ONNX
import TensorCore
import Vision

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// This library and program.
public enum Release {
    public static let version = "0.1.0"
}

/// What `run.json` says: enough to repeat the run, and to notice when that is no longer possible.
public struct RunRecord: Codable, Sendable, Equatable {
    /// Where the run was made.
    public struct Machine: Codable, Sendable, Equatable {
        public var system: String
        public var cpu: String
        public var kernels: String
        public var threads: Int
    }
    /// The file that was read.
    public struct Model: Codable, Sendable, Equatable {
        public var bytes: Int
        public var sha256: String
    }
    /// A set of pictures, by number and checksum.
    public struct Pictures: Codable, Sendable, Equatable {
        public var count: Int
        /// Nil while the pictures are being read for the first time.
        public var sha256: String?
    }
    /// The pictures and their classes.
    public struct Data: Codable, Sendable, Equatable {
        public var source: String
        public var classes: [String]
        public var train: Pictures
        public var val: Pictures
    }
    /// What trains, sooner or later.
    public struct Trainable: Codable, Sendable, Equatable {
        public var names: [String]
        public var elements: Int
        public var totalElements: Int

        enum CodingKeys: String, CodingKey {
            case names, elements
            case totalElements = "total_elements"
        }
    }
    /// How the run ended.
    public struct Outcome: Codable, Sendable, Equatable {
        public var epochs: Int
        public var bestEpoch: Int
        public var bestValAccuracy: Double
        /// Of all epochs.
        public var seconds: Double

        enum CodingKeys: String, CodingKey {
            case epochs
            case bestEpoch = "best_epoch"
            case bestValAccuracy = "best_val_accuracy"
            case seconds
        }
    }

    public static let format = "finetune.run/1"

    public var format = RunRecord.format
    public var version = Release.version
    /// The command that repeats the run.
    public var command: String
    /// The folder that relative paths in the settings start from.
    public var directory: String
    public var started: Date
    public var settings: RunSettings
    /// What the settings left to the model: how pictures are prepared, which augmentation was used.
    public var preprocessing: Preprocessing
    public var machine: Machine
    public var model: Model
    public var data: Data
    public var trainable: Trainable
    /// Once the run is complete.
    public var outcome: Outcome?

    /// Describes `run` as it is about to start; reads every picture whose content is not known from an earlier run, unless it
    /// is not `waiting` for that.
    public init(_ run: FineTuneRun, waiting: Bool = true) throws {
        settings = run.settings
        command = try ("finetune train " + settings.arguments().map(shellQuoted).joined(separator: " "))
        directory = FileManager.default.currentDirectoryPath
        // JSON keeps whole seconds.
        started = Date(timeIntervalSince1970: Date().timeIntervalSince1970.rounded(.down))
        preprocessing = run.loaded.preprocessing
        preprocessing.augment = run.augmentation
        machine = .current
        model = Model(bytes: run.loaded.imported.file.bytes.count, sha256: try run.loaded.imported.file.checksum())
        data = Data(
            source: settings.data ?? FineTuneRun.defaultData(model: settings.model), classes: run.data.classes,
            train: Pictures(count: run.data.train.count), val: Pictures(count: run.data.val.count))
        let everTrainable = run.trainable(inEpoch: settings.epochs)
        trainable = Trainable(
            names: everTrainable.names, elements: everTrainable.elements, totalElements: everTrainable.totalElements)
        if waiting || run.waitForPictures() { nameContents(of: run) }
    }

    /// Notes what the pictures of `run` contain, waiting until that is known.
    mutating func nameContents(of run: FineTuneRun) {
        data.train.sha256 = run.data.train.checksum(contents: run.features.contents(of: run.data.train))
        data.val.sha256 = run.data.val.checksum(contents: run.features.contents(of: run.data.val))
    }

    /// Whether it says what the pictures contain.
    var namesContents: Bool { data.train.sha256 != nil && data.val.sha256 != nil }

    /// Names the run in its checkpoints: a digest of settings, model and pictures.
    public func identity() throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        var hash = SHA256()
        hash.update([UInt8](try encoder.encode(settings)))
        hash.update(Array("\(model.sha256) \(data.train.sha256 ?? "") \(data.val.sha256 ?? "")".utf8))
        return hash.hexDigest()
    }

    /// The text of `run.json`.
    public func json() throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        encoder.dateEncodingStrategy = .iso8601
        return String(decoding: try encoder.encode(self), as: UTF8.self) + "\n"
    }

    /// Reads a text that `json()` made.
    public init(json: String) throws {
        let decoder = JSONDecoder()
        decoder.dateDecodingStrategy = .iso8601
        self = try decoder.decode(RunRecord.self, from: Foundation.Data(json.utf8))
    }
}

extension RunRecord.Machine {
    /// The machine of this process, with the threads that kernels use now.
    static var current: RunRecord.Machine {
        var name = utsname()
        uname(&name)
        func text<T>(_ field: T) -> String {
            withUnsafeBytes(of: field) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        }
        let cpu = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8))?.split(separator: "\n")
            .first { $0.hasPrefix("model name") }?.split(separator: ":").last
        return RunRecord.Machine(
            system: "\(text(name.sysname)) \(text(name.release)) \(text(name.machine))",
            cpu: cpu.map { $0.trimmingCharacters(in: .whitespaces) } ?? "unknown", kernels: Kernels.summary,
            threads: Parallel.threadCount)
    }
}

extension ModelFile {
    /// SHA-256 of the file and of tensors that it keeps in other files.
    func checksum() throws -> String {
        let external = model.graph.initializers.filter { !$0.externalData.isEmpty }
        guard !external.isEmpty else { return bytes.sha256() }
        var hash = SHA256()
        hash.update(Array(bytes.sha256().utf8))
        for tensor in external { try tensor.array().withLittleEndianBytes { hash.update($0) } }
        return hash.hexDigest()
    }
}

/// `text` as one word of a shell.
public func shellQuoted(_ text: String) -> String {
    let plain = text.utf8.allSatisfy { byte in
        Character(UnicodeScalar(byte)).isLetter || Character(UnicodeScalar(byte)).isNumber
            || "._-/:=,+".utf8.contains(byte)
    }
    return plain && !text.isEmpty ? text : "'" + text.replacingOccurrences(of: "'", with: "'\\''") + "'"
}
