import Files
import TensorCore
import Vision

/// Values at the cut for pictures, computed once: shared by all streams that are given the same store and, with a
/// `FeatureCache`, by later runs.
///
/// Streams with the same frozen prefix and transform find each other's pictures by content, whatever dataset they belong
/// to. Not `Sendable`: one thread uses it.
public final class FeatureStore {
    /// Bytes that values may take in memory, mapped files not counted.
    public let memoryLimit: Int
    /// Why the cache on disk is not used any more, in one line; nil while all is well.
    public private(set) var problem: String?
    /// Pictures whose values were there when a stream asked for them, and those that had to be computed.
    public internal(set) var pictureCounts = (found: 0, computed: 0)
    private let cache: FeatureCache?
    private var shelves: [SHA256.Digest: FeatureShelf] = [:]
    private var censuses: [[String]: PictureCensus] = [:]

    /// - `cache`: where values outlive the process; nil for memory alone.
    /// - `memoryLimit`: bytes that values without a file may take.
    public init(cache: FeatureCache? = nil, memoryLimit: Int = 1 << 30) {
        self.cache = cache
        self.memoryLimit = memoryLimit
    }

    private var usableCache: FeatureCache? { problem == nil ? cache : nil }

    deinit { for census in censuses.values { census.cancel() } }

    /// Begins to find out what the pictures at `paths` contain, once for all who ask.
    func census(_ paths: [String], limits: DecodeLimits = DecodeLimits()) -> PictureCensus {
        if let known = censuses[paths] { return known }
        let census = PictureCensus(paths, cache: usableCache, limits: limits)
        censuses[paths] = census
        return census
    }

    /// What the pictures at `paths` contain.
    func pictures(_ paths: [String], limits: DecodeLimits = DecodeLimits()) -> PictureIndex {
        let (index, failure) = census(paths, limits: limits).wait()
        if let failure, problem == nil { giveUp(failure) }
        return index
    }

    /// SHA-256 of each picture of `dataset`; nil in it for one that cannot be read.
    func contents(of dataset: PictureDataset) -> [SHA256.Digest?] { pictures(dataset.samples.map(\.path)).contents }

    /// Everything known under `key`; nil stands for values that only one stream can use.
    func shelf(_ key: SHA256.Digest?) -> FeatureShelf {
        guard let key else { return FeatureShelf(key: nil) }
        if let shelf = shelves[key] { return shelf }
        let shelf = FeatureShelf(key: key, files: usableCache?.blockNames(key) ?? [])
        shelves[key] = shelf
        return shelf
    }

    /// Where the values of `pictures` are that are known. Of files, those are opened that hold one of them, and the rows of
    /// these are checked.
    func places(of pictures: [SHA256.Digest?], on shelf: FeatureShelf) -> [FeaturePlace?] {
        if let cache = usableCache { shelf.open(for: pictures, in: cache) }
        return pictures.map { $0.flatMap(shelf.place) }
    }

    /// Forgets `shelf` and its files: what it holds was not made by these kernels.
    func discard(_ shelf: FeatureShelf) {
        shelf.removeAll()
        if let key = shelf.key { usableCache?.removeBlocks(key) }
    }

    /// Whether `byteCount` more bytes can be held, on the disk or in memory.
    func hasRoom(for byteCount: Int, on shelf: FeatureShelf) -> Bool {
        if shelf.key != nil, let cache = usableCache, byteCount <= cache.byteLimit { return true }
        func used() -> Int { shelves.values.reduce(0) { $0 + $1.memoryBytes } }
        // Other cuts and transforms can be computed again; streams that use them keep them.
        if used() + byteCount > memoryLimit { shelves = shelves.filter { $0.value === shelf } }
        return used() + byteCount <= memoryLimit
    }

    /// Puts `block` on `shelf`, as a mapped file where the disk takes it, and returns it from there.
    func add(_ block: FeatureBlock, to shelf: FeatureShelf) -> FeatureBlock {
        if let key = shelf.key, let cache = usableCache {
            do {
                if let mapped = try cache.save(block, key: key) {
                    shelf.add(mapped, isMapped: true)
                    return mapped
                }
            } catch {
                giveUp(error)
            }
        }
        shelf.add(block, isMapped: false)
        return block
    }

    private func giveUp(_ error: any Error) { problem = "feature cache not used: \(error)" }
}

/// The values known under one key, by what the pictures contain.
final class FeatureShelf {
    let key: SHA256.Digest?
    /// Numbers of files from the disk whose values have not been compared with computed ones.
    var unchecked: Set<Int> = []
    /// Bytes of blocks that are not mapped files.
    private(set) var memoryBytes = 0
    private var places: [SHA256.Digest: FeaturePlace] = [:]
    /// What earlier processes left on the disk, by number.
    private var files: [String]

    init(key: SHA256.Digest?, files: [String] = []) {
        self.key = key
        self.files = files
    }

    func place(_ picture: SHA256.Digest) -> FeaturePlace? { places[picture] }

    /// Takes the rows of `pictures` from files that hold some of them. A file of which one of these rows is damaged is removed.
    func open(for pictures: [SHA256.Digest?], in cache: FeatureCache) {
        guard let key else { return }
        let wanted = Set(pictures.lazy.compactMap(\.self).filter { self.places[$0] == nil })
        guard !wanted.isEmpty else { return }
        for (number, name) in files.enumerated() where !name.isEmpty {
            guard let block = cache.block(name, key: key, wanted: wanted) else { continue }
            let rows = block.pictures.indices.filter { wanted.contains(block.pictures[$0]) }
            guard block.areIntact(rows) else {
                cache.removeBlock(name)
                files[number] = ""
                continue
            }
            for row in rows { places[block.pictures[row]] = FeaturePlace(block: block, row: row, file: number) }
            unchecked.insert(number)
        }
    }

    /// Adds values that were computed here.
    func add(_ block: FeatureBlock, isMapped: Bool) {
        for (row, picture) in block.pictures.enumerated() { places[picture] = FeaturePlace(block: block, row: row) }
        if !isMapped { memoryBytes += block.byteCount }
    }

    func removeAll() {
        places = [:]
        files = []
        memoryBytes = 0
        unchecked = []
    }
}

/// Where the values of a picture are.
struct FeaturePlace {
    let block: FeatureBlock
    let row: Int
    /// Number of the file that an earlier process left on the disk; nil for values computed here.
    var file: Int?

    /// The values, one row for each boundary value.
    var features: [NDArray] { block.columns.map { $0.rows(row..<row + 1) } }
}
