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
    private var indices: [[String]: PictureIndex] = [:]

    /// - `cache`: where values outlive the process; nil for memory alone.
    /// - `memoryLimit`: bytes that values without a file may take.
    public init(cache: FeatureCache? = nil, memoryLimit: Int = 1 << 30) {
        self.cache = cache
        self.memoryLimit = memoryLimit
    }

    private var usableCache: FeatureCache? { problem == nil ? cache : nil }

    /// What the pictures at `paths` contain.
    func pictures(_ paths: [String], limits: DecodeLimits) -> PictureIndex {
        if let known = indices[paths], paths.indices.allSatisfy(known.isUnchanged) { return known }
        let index: PictureIndex
        if let cache = usableCache {
            let (read, failure) = cache.pictures(paths, limits: limits)
            if let failure { giveUp(failure) }
            index = read
        } else {
            index = PictureIndex(paths, known: nil, limits: limits)
        }
        indices[paths] = index
        return index
    }

    /// Everything known under `key`; nil stands for values that only one stream can use.
    func shelf(_ key: SHA256.Digest?) -> FeatureShelf {
        guard let key else { return FeatureShelf(key: nil) }
        if let shelf = shelves[key] { return shelf }
        let shelf = FeatureShelf(key: key, found: usableCache?.blocks(key) ?? [])
        shelves[key] = shelf
        return shelf
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
    var unchecked: Set<Int>
    /// Bytes of blocks that are not mapped files.
    private(set) var memoryBytes = 0
    private var places: [SHA256.Digest: FeaturePlace] = [:]

    init(key: SHA256.Digest?, found: [FeatureBlock] = []) {
        self.key = key
        unchecked = Set(found.indices)
        for (number, block) in found.enumerated() { add(block, isMapped: true, file: number) }
    }

    func place(_ picture: SHA256.Digest) -> FeaturePlace? { places[picture] }

    func add(_ block: FeatureBlock, isMapped: Bool, file: Int? = nil) {
        for (row, picture) in block.pictures.enumerated() {
            places[picture] = FeaturePlace(block: block, row: row, file: file)
        }
        if !isMapped { memoryBytes += block.byteCount }
    }

    func removeAll() {
        places = [:]
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
