import Dispatch
import Files
import Synchronization
import TensorCore

/// What a person should know about a dataset before training on it.
public struct DataReport: Sendable {
    /// One part of the data: `train` or `val`.
    public struct Part: Sendable {
        public let name: String
        /// The pictures looked at.
        public let dataset: PictureDataset
        /// Readable and unreadable pictures of each class, in the order of `classes`.
        public let classCounts: [Int]
        public let ignored: [IgnoredFile]
        /// Pictures that cannot be decoded.
        public let unreadable: [PictureError]
        /// Number of pictures of each size and of each format.
        public let sizes: [PictureSize: Int]
        public let formats: [PictureFormat: Int]
        /// Pictures that tell a rotation, which `ExifPolicy.apply` applies.
        public let rotatedCount: Int

        public var count: Int { classCounts.reduce(0, +) }
    }

    /// Files with the same bytes where that misleads training.
    public struct Duplicate: Sendable, Hashable {
        /// Where the same picture is found twice.
        public enum Kind: String, Sendable, Hashable {
            /// The same picture under several labels.
            case acrossClasses
            /// The same picture in training and validation.
            case acrossParts
            /// The same picture more than once in a class.
            case withinClass
        }
        public let kind: Kind
        public let paths: [String]
    }

    public let classes: [String]
    public let parts: [Part]
    /// Sorted by kind's severity, then by path.
    public let duplicates: [Duplicate]

    /// Pictures of the largest training class for each one of the smallest.
    public var imbalance: Double {
        let counts = parts.first?.classCounts ?? []
        guard let most = counts.max(), let least = counts.min(), least > 0 else { return 1 }
        return Double(most) / Double(least)
    }

    /// Looks at every picture of the folder or list at `path`, as training would divide it.
    ///
    /// A folder without validation pictures of its own is, without `valFraction`, one part called `data`. Throws
    /// `DatasetError`.
    public init(path: String, valFraction: Double? = nil, seed: UInt64 = 0, decoding: Bool = true) throws(DatasetError)
    {
        do {
            self.init(try DatasetSplit.read(path, valFraction: valFraction, seed: seed), decoding: decoding)
        } catch .missingValidation(_) {
            let train = FileSystem.join(path, "train")
            let whole = try PictureDataset.imageFolder(FileSystem.isFolder(train) ? train : path)
            self.init(whole, decoding: decoding)
        }
    }

    /// Looks at every picture of `split` on all cores: headers, or with `decoding` every pixel.
    public init(_ split: DatasetSplit, decoding: Bool = true, limits: DecodeLimits = DecodeLimits()) {
        self.init(
            classes: split.classes, parts: [("train", split.train), ("val", split.val)], decoding: decoding,
            limits: limits)
    }

    /// Looks at every picture of one dataset.
    public init(_ dataset: PictureDataset, decoding: Bool = true, limits: DecodeLimits = DecodeLimits()) {
        self.init(classes: dataset.classes, parts: [("data", dataset)], decoding: decoding, limits: limits)
    }

    private init(
        classes: [String], parts: [(name: String, dataset: PictureDataset)], decoding: Bool, limits: DecodeLimits
    ) {
        self.classes = classes
        self.parts = parts.map { name, dataset in
            let observer = WorkProgress.observer
            let findings = parallelMap(dataset.count, { observer?("opening pictures", $0, dataset.count) }) { index in
                Finding(dataset.samples[index].path, decoding: decoding, limits: limits)
            }
            return Part(name: name, dataset: dataset, findings: findings)
        }
        self.duplicates = Duplicate.all(in: parts.map(\.dataset), limits: limits)
    }
}

/// What was learned about one file.
private struct Finding: Sendable {
    var header: PictureHeader?
    var error: PictureError?

    init(_ path: String, decoding: Bool, limits: DecodeLimits) {
        do throws(PictureError) {
            let bytes = try FileBytes(picture: path, limits: limits)
            header = try PictureHeader(encoded: bytes, limits: limits)
            if decoding { _ = try Picture(encoded: bytes, mode: nil, limits: limits) }
        } catch {
            self.error = error
        }
    }
}

extension DataReport.Part {
    fileprivate init(name: String, dataset: PictureDataset, findings: [Finding]) {
        self.name = name
        self.dataset = dataset
        classCounts = dataset.classCounts
        ignored = dataset.ignored
        unreadable = findings.compactMap(\.error)
        sizes = findings.compactMap(\.header?.size).reduce(into: [:]) { $0[$1, default: 0] += 1 }
        rotatedCount = findings.count { $0.header.map { $0.orientation != .up } ?? false }
        formats = findings.compactMap(\.header?.format).reduce(into: [:]) { $0[$1, default: 0] += 1 }
    }
}

/// `transform(0) ... transform(count - 1)` on all cores; `onProgress` is told how many are done now and then.
func parallelMap<T: Sendable>(
    _ count: Int, _ onProgress: @Sendable (Int) -> Void = { _ in }, _ transform: @Sendable (Int) -> T
) -> [T] {
    let portion = 16
    let results = Mutex((values: [T?](repeating: nil, count: count), done: 0))
    DispatchQueue.concurrentPerform(iterations: (count + portion - 1) / portion) { part in
        let range = part * portion..<min((part + 1) * portion, count)
        let values = range.map(transform)
        let done = results.withLock { results in
            for (index, value) in zip(range, values) { results.values[index] = value }
            results.done += range.count
            return results.done
        }
        onProgress(done)
    }
    return results.withLock { $0.values.compactMap { $0 } }
}
