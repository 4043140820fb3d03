import GraphIR
import TensorCore
import Vision

/// What the trainable part of a model sees of some pictures.
public struct FeatureBatch: Sendable {
    /// One array per boundary value, first axis the pictures.
    public let features: [NDArray]
    public let labels: [Int]
    /// Positions in the dataset.
    public let indices: [Int]
}

/// Pictures of a dataset as values at the cut, batch by batch.
///
/// When the loader's transform depends on the picture alone, every picture goes through the frozen prefix once and its
/// features are kept; otherwise the prefix runs for each batch.
public final class FeatureStream {
    public let loader: BatchLoader
    public let model: CutModel
    private let input: PictureInput
    private var table: FeatureTable?
    private let byteLimit: Int

    /// - Parameter byteLimit: memory that kept features may take; they are computed again each epoch beyond it.
    public init(_ loader: BatchLoader, model: CutModel, input: PictureInput, byteLimit: Int) {
        self.loader = loader
        self.model = model
        self.input = input
        self.byteLimit = byteLimit
        reset()
    }

    /// Forgets kept features: the model was cut elsewhere.
    public func reset() {
        table =
            loader.transform.isDeterministic && model.hasPrefix
            ? FeatureTable(count: loader.dataset.count, byteLimit: byteLimit) : nil
    }

    public var batchCount: Int { loader.batchCount }

    /// Starts epoch `number` after its first `first` batches: `FeatureEpoch.position` of a pass that was broken off.
    public func epoch(_ number: Int, from first: Int = 0) throws -> FeatureEpoch {
        if let table, table.isEmpty {
            try table.fill(from: loader) { try self.features(of: $0) }
        }
        if let table, table.isComplete {
            return FeatureEpoch(
                rows: table, order: loader.order(ofEpoch: number), size: loader.configuration.batchSize, first)
        }
        return FeatureEpoch(stream: self, epoch: loader.epoch(number, from: first))
    }

    fileprivate func features(of batch: Batch) throws -> [NDArray] {
        try model.features(try input.arrange(batch.images))
    }
}

/// One pass over a `FeatureStream`.
public final class FeatureEpoch {
    private enum Source {
        case computed(FeatureStream, BatchLoader.Epoch)
        case kept(FeatureTable, [ArraySlice<Int>])
    }
    private let source: Source
    /// Batches of the epoch that are behind, those without a readable picture included.
    public private(set) var position: Int

    fileprivate init(stream: FeatureStream, epoch: BatchLoader.Epoch) {
        source = .computed(stream, epoch)
        position = epoch.position
    }

    fileprivate init(rows table: FeatureTable, order: [Int], size: Int, _ first: Int) {
        let readable = order.filter(table.isKept)
        let starts = stride(from: 0, to: readable.count, by: size)
        source = .kept(table, starts.map { readable[$0..<min($0 + size, readable.count)] })
        position = first
    }

    /// The next batch; nil at the end. Throws `PictureError` for a picture that cannot be read.
    public func next() throws -> FeatureBatch? {
        switch source {
        case .computed(let stream, let epoch):
            guard let batch = try epoch.next() else { return nil }
            position = epoch.position
            return FeatureBatch(
                features: try stream.features(of: batch), labels: batch.labels, indices: batch.indices)
        case .kept(let table, let chunks):
            guard position < chunks.count else { return nil }
            position += 1
            return try table.batch(Array(chunks[position - 1]))
        }
    }
}

/// Features of a whole dataset, a row per picture.
final class FeatureTable {
    private let count: Int
    private let byteLimit: Int
    private var columns: [NDArray] = []
    private var labels: [Int]
    private var kept: [Bool]
    private(set) var isComplete = false
    private var isTooLarge = false

    init(count: Int, byteLimit: Int) {
        self.count = count
        self.byteLimit = byteLimit
        labels = [Int](repeating: 0, count: count)
        kept = [Bool](repeating: false, count: count)
    }

    /// True when filling makes sense.
    var isEmpty: Bool { !isComplete && !isTooLarge }

    func isKept(_ index: Int) -> Bool { kept[index] }

    /// Runs the whole dataset through `compute` in batches larger than training's, which is faster.
    func fill(from loader: BatchLoader, _ compute: (Batch) throws -> [NDArray]) throws {
        var configuration = loader.configuration
        configuration.batchSize = max(configuration.batchSize, 32)
        configuration.shuffle = false
        configuration.dropLast = false
        configuration.cacheBytes = 0
        let sequential = try BatchLoader(loader.dataset, transform: loader.transform, configuration: configuration)
        let epoch = sequential.epoch(0)
        while let batch = try epoch.next() {
            let features = try compute(batch)
            if columns.isEmpty {
                let bytes = features.reduce(0) { $0 + $1.byteCount / max(batch.count, 1) } * count
                guard bytes <= byteLimit else {
                    isTooLarge = true
                    return
                }
                columns = features.map { NDArray(uninitialized: [count] + $0.shape.dropFirst(), dtype: $0.dtype) }
            }
            for (column, feature) in features.enumerated() { columns[column].setRows(at: batch.indices, to: feature) }
            for (index, label) in zip(batch.indices, batch.labels) {
                labels[index] = label
                kept[index] = true
            }
        }
        isComplete = true
    }

    func batch(_ indices: [Int]) throws -> FeatureBatch {
        FeatureBatch(
            features: columns.map { $0.gatheringRows(indices) }, labels: indices.map { labels[$0] }, indices: indices)
    }
}

extension NDArray {
    /// Copies row i of `source` to row `indices[i]`.
    fileprivate mutating func setRows(at indices: [Int], to source: NDArray) {
        let rowBytes = source.shape[0] == 0 ? 0 : source.byteCount / source.shape[0]
        withUnsafeMutableBytes { target in
            source.withUnsafeBytes { source in
                for (row, index) in indices.enumerated() {
                    target[index * rowBytes..<(index + 1) * rowBytes].copyBytes(
                        from: source[row * rowBytes..<(row + 1) * rowBytes])
                }
            }
        }
    }

    /// The rows at `indices`, copied.
    fileprivate func gatheringRows(_ indices: [Int]) -> NDArray {
        var result = NDArray(uninitialized: [indices.count] + shape.dropFirst(), dtype: dtype)
        let rowBytes = shape[0] == 0 ? 0 : byteCount / shape[0]
        result.withUnsafeMutableBytes { target in
            withUnsafeBytes { source in
                for (row, index) in indices.enumerated() {
                    target[row * rowBytes..<(row + 1) * rowBytes].copyBytes(
                        from: source[index * rowBytes..<(index + 1) * rowBytes])
                }
            }
        }
        return result
    }
}
