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
/// values are kept in a `FeatureStore`; otherwise the prefix runs for each epoch, over a few batches at a time.
public final class FeatureStream {
    public let loader: BatchLoader
    public let model: CutModel
    let input: PictureInput
    let store: FeatureStore
    private var kept: (cut: Int, rows: FeatureRows?)?
    /// Pictures that could not be read while values were computed ahead, by path: they are tried at every cut.
    var skippedAhead: [String: PictureError] = [:]

    /// - `store`: where values are kept, and looked for first.
    public init(_ loader: BatchLoader, model: CutModel, input: PictureInput, store: FeatureStore = FeatureStore()) {
        self.loader = loader
        self.model = model
        self.input = input
        self.store = store
    }

    public var batchCount: Int { loader.batchCount }

    /// Pictures that could not be decoded so far.
    public var skipped: [PictureError] {
        let found = loader.skipped
        let others = Set(skippedAhead.keys).subtracting(found.map(\.path))
        return found + others.sorted().compactMap { skippedAhead[$0] }
    }

    /// Starts epoch `number` after its first `first` batches: `FeatureEpoch.position` of a pass that was broken off.
    public func epoch(_ number: Int, from first: Int = 0) throws -> FeatureEpoch {
        if kept?.cut != model.cutNumber {
            // Values at an earlier cut go before new ones come.
            kept = nil
            kept = (model.cutNumber, try computeAhead())
        }
        if let rows = kept?.rows {
            let batches = loader.batches(ofEpoch: number).map { $0.filter(rows.isKept) }
            return FeatureEpoch(rows, batches.dropFirst(first))
        }
        return FeatureEpoch(stream: self, number, first)
    }

    func features(of batch: Batch, alone: Bool = false) throws -> [NDArray] {
        try model.features(try input.arrange(batch.images), alone: alone)
    }

    /// Pictures that the prefix computes together, in whole batches: products of few columns waste half of their time.
    static let picturesAhead = 16

    /// Batches that go through the prefix together.
    var batchesAhead: Int { model.hasPrefix ? max(1, FeatureStream.picturesAhead / loader.configuration.batchSize) : 1 }
}

/// One pass over a `FeatureStream`.
public final class FeatureEpoch {
    private enum Source {
        case computed(FeatureStream, BatchLoader.Epoch)
        case kept(FeatureRows)
    }
    private let source: Source
    /// Batches of the epoch that are behind, those without a readable picture included.
    public private(set) var position: Int
    /// Positions in the dataset of the batches to come, behind those in `ready`.
    private var waiting: ArraySlice<[Int]>
    /// Batches that went through the prefix together.
    private var ready: ArraySlice<(number: Int, batch: FeatureBatch)> = []

    fileprivate init(stream: FeatureStream, _ number: Int, _ first: Int) {
        let batches = stream.loader.batches(ofEpoch: number)
        let size = stream.batchesAhead
        // A pass that starts in the middle computes the same groups as one from the start.
        let start = min(first / size * size, batches.count)
        let groups = stride(from: start, to: batches.count, by: size).map {
            Array(batches[$0..<min($0 + size, batches.count)].joined())
        }
        position = first
        waiting = batches[start...]
        source = .computed(stream, stream.loader.epoch(number, visiting: groups))
    }

    fileprivate init(_ rows: FeatureRows, _ batches: ArraySlice<[Int]>) {
        source = .kept(rows)
        waiting = batches
        position = batches.startIndex
    }

    /// The next batch; nil at the end. Throws `PictureError` for a picture that cannot be read.
    public func next() throws -> FeatureBatch? {
        switch source {
        case .computed(let stream, let epoch):
            while ready.isEmpty {
                guard let group = try epoch.next() else { return nil }
                ready = try split(group, stream.features(of: group))[...]
            }
            guard let (number, batch) = ready.popFirst() else { return nil }
            position = number + 1
            return batch
        case .kept(let rows):
            while let indices = waiting.popFirst() {
                guard !indices.isEmpty else { continue }
                position = waiting.startIndex
                return rows.batch(indices)
            }
            return nil
        }
    }

    /// The batches of a group from `position` on, without pictures that were skipped and without batches of which none is
    /// left.
    private func split(_ group: Batch, _ features: [NDArray]) -> [(number: Int, batch: FeatureBatch)] {
        var result: [(number: Int, batch: FeatureBatch)] = []
        var row = 0
        while row < group.count {
            let number = waiting.startIndex
            guard let batch = waiting.popFirst() else { break }
            let end = batch.reduce(row) { $0 < group.count && group.indices[$0] == $1 ? $0 + 1 : $0 }
            if row < end, number >= position {
                let batch = FeatureBatch(
                    features: features.map { $0.rows(row..<end) }, labels: Array(group.labels[row..<end]),
                    indices: Array(group.indices[row..<end]))
                result.append((number, batch))
            }
            row = end
        }
        return result
    }
}
