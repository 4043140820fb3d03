import Files
import TensorCore
import Vision

/// The values at the cut of a whole dataset.
struct FeatureRows {
    let dataset: PictureDataset
    /// By position in the dataset; nil for a picture that cannot be read.
    var places: [FeaturePlace?]

    func isKept(_ index: Int) -> Bool { places[index] != nil }

    /// The pictures at `indices`, all of them kept.
    func batch(_ indices: [Int]) -> FeatureBatch {
        let rows = indices.compactMap { places[$0] }
        let columns = rows.first?.block.columns ?? []
        let features = columns.indices.map { column in
            NDArray(rows: rows.map { ($0.block.columns[column], $0.row) })
        }
        return FeatureBatch(features: features, labels: indices.map { dataset.samples[$0].label }, indices: indices)
    }
}

extension FeatureStream {
    /// Looks for the values of every picture, computes those that are missing and keeps them.
    ///
    /// Nil when the values depend on more than the picture, or when neither disk nor memory can hold them.
    func computeAhead() throws -> FeatureRows? {
        guard loader.transform.isDeterministic, model.hasPrefix else { return nil }
        let shelf = store.shelf(key())
        let pictures = store.pictures(loader.dataset.samples.map(\.path), limits: loader.configuration.limits)
        var rows = FeatureRows(
            dataset: loader.dataset, places: store.places(of: pictures.contents, on: shelf))
        if try !isTrusted(shelf, rows) {
            store.discard(shelf)
            rows.places = rows.places.map { _ in nil }
        }
        let missing = rows.places.indices.filter { rows.places[$0] == nil }
        store.pictureCounts.found += rows.places.count - missing.count
        return try fill(&rows, missing, pictures, shelf) ? rows : nil
    }

    /// What the values of a picture depend on beside its content; nil when that has no name.
    func key() -> SHA256.Digest? {
        model.prefixFingerprint().map { prefix in
            var hash = SHA256()
            let parts = [
                "features 2", Kernels.summary, loader.transform.fingerprint, "\(loader.pictureSize)",
                "channels last \(input.isChannelsLast)", "\(prefix)",
            ]
            hash.update(Array(parts.joined(separator: "\n").utf8))
            return hash.value
        }
    }

    /// Compares the values of one picture of each file with computed ones, bit for bit: the kernels may have changed.
    private func isTrusted(_ shelf: FeatureShelf, _ rows: FeatureRows) throws -> Bool {
        var samples: [Int: Int] = [:]
        for (index, place) in rows.places.enumerated() {
            if let file = place?.file, shelf.unchecked.contains(file), samples[file] == nil { samples[file] = index }
        }
        guard !samples.isEmpty else { return true }
        guard let batch = try loader.batch(at: samples.values.sorted()), batch.count == samples.count else {
            return false
        }
        let computed = try features(of: batch, alone: true)
        for (row, index) in batch.indices.enumerated() {
            let stored = rows.places[index]?.features ?? []
            let fresh = computed.map { $0.rows(row..<row + 1) }
            guard fresh.count == stored.count, zip(fresh, stored).allSatisfy({ $0.isBitIdentical(to: $1) }) else {
                return false
            }
        }
        shelf.unchecked.subtract(samples.keys)
        return true
    }

    /// Computes the pictures at `missing`; false when there is no room for them.
    private func fill(
        _ rows: inout FeatureRows, _ missing: [Int], _ pictures: PictureIndex, _ shelf: FeatureShelf
    ) throws -> Bool {
        guard !missing.isEmpty else { return true }
        var configuration = loader.configuration
        configuration.batchSize = min(max(configuration.batchSize, FeatureStream.picturesAhead), missing.count)
        configuration.shuffle = false
        configuration.dropLast = false
        configuration.cacheBytes = 0
        configuration.prefetch = 1
        let ahead = try BatchLoader(
            loader.dataset.subset(missing), transform: loader.transform, configuration: configuration)
        defer { for error in ahead.skipped { skippedAhead[error.path] = error } }
        let epoch = ahead.epoch(0)
        var builder: FeatureBlockBuilder?
        var done = 0
        while let batch = try epoch.next() {
            let features = try features(of: batch, alone: true)
            if builder == nil {
                let rowBytes = features.reduce(0) { $0 + $1.byteCount } / batch.count
                guard store.hasRoom(for: rowBytes * (missing.count - done), on: shelf) else { return false }
                builder = FeatureBlockBuilder(
                    like: features, count: missing.count - done, most: configuration.batchSize)
            }
            builder?.append(features, of: batch.indices.map { missing[$0] })
            done += batch.count
            WorkProgress.observer?("frozen layers", done, missing.count)
            if builder?.isFull == true, let full = builder {
                keep(full, &rows, pictures, shelf)
                builder = nil
            }
        }
        if let rest = builder { keep(rest, &rows, pictures, shelf) }
        return true
    }

    private func keep(
        _ built: FeatureBlockBuilder, _ rows: inout FeatureRows, _ pictures: PictureIndex, _ shelf: FeatureShelf
    ) {
        store.pictureCounts.computed += built.indices.count
        // A picture that changed on the way has values but no name: nobody else may find them.
        let names = built.indices.map { pictures.isUnchanged($0) ? pictures.contents[$0] : nil }
        let named = names.compactMap(\.self)
        var block = built.block(named)
        if named.count == names.count { block = store.add(block, to: shelf) }
        for (row, index) in built.indices.enumerated() { rows.places[index] = FeaturePlace(block: block, row: row) }
    }
}

/// Rows on their way into a block.
struct FeatureBlockBuilder {
    /// Positions in the dataset, by row.
    private(set) var indices: [Int] = []
    private var columns: [NDArray]
    private let capacity: Int
    private let most: Int

    /// What a block may take in memory before it goes to the disk.
    private static let byteLimit = 64 << 20

    /// - Parameters:
    ///   - features: values of some pictures, for their shapes.
    ///   - count: rows to come, over all blocks.
    ///   - most: rows appended at once.
    init(like features: [NDArray], count: Int, most: Int) {
        let rowBytes = features.reduce(0) { $0 + $1.byteCount / max($1.shape[0], 1) }
        let wanted = (count + most - 1) / most * most
        let capacity = max(most, min(wanted, FeatureBlockBuilder.byteLimit / max(rowBytes, 1)))
        columns = features.map { NDArray(uninitialized: [capacity] + $0.shape.dropFirst(), dtype: $0.dtype) }
        self.capacity = capacity
        self.most = most
    }

    /// True when another batch might not fit.
    var isFull: Bool { indices.count + most > capacity }

    mutating func append(_ features: [NDArray], of indices: [Int]) {
        for (column, rows) in features.enumerated() { columns[column].setRows(from: self.indices.count, rows) }
        self.indices += indices
    }

    func block(_ pictures: [SHA256.Digest]) -> FeatureBlock {
        FeatureBlock(pictures: pictures, columns: columns.map { $0.rows(0..<indices.count) })
    }
}

extension NDArray {
    /// Copies of single rows of arrays that differ in their first axis only.
    init(rows: [(array: NDArray, row: Int)]) {
        let first = rows[0].array
        self.init(uninitialized: [rows.count] + first.shape.dropFirst(), dtype: first.dtype)
        for (target, source) in rows.enumerated() {
            setRows(from: target, source.array.rows(source.row..<source.row + 1))
        }
    }

    /// Copies `rows` over the rows from `start` on.
    fileprivate mutating func setRows(from start: Int, _ rows: NDArray) {
        let rowBytes = rows.shape[0] == 0 ? 0 : rows.byteCount / rows.shape[0]
        withUnsafeMutableBytes { target in
            rows.withUnsafeBytes { source in
                target[start * rowBytes..<start * rowBytes + source.count].copyBytes(from: source)
            }
        }
    }
}
