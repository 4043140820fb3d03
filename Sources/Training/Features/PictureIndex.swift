import Files
import Safetensors
import TensorCore
import Vision

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// SHA-256 of the contents of picture files, remembered so that unchanged files need not be read again.
///
/// A file counts as unchanged while its device, inode, size and both of its times (modification, and change of status,
/// which nobody can set) are the same. What changed within two seconds of being read is read again next time: times are
/// too coarse to tell a second change from the first.
struct PictureIndex {
    /// One for each path; nil for a file that cannot be read.
    private(set) var contents: [SHA256.Digest?]
    /// True when a file was read that later runs need not read.
    private(set) var hasNews = false
    private let paths: [String]
    private let stamps: [Stamp?]
    private let settled: [Bool]

    /// What identifies one state of a file: device, inode, size, modification and status change in seconds and
    /// nanoseconds.
    private typealias Stamp = SIMD8<UInt64>
    private static let settlingSeconds = 2

    /// Identifies `paths`, reading only what the index file `known` does not have.
    init(_ paths: [String], known: String?, limits: DecodeLimits) {
        let remembered = known.flatMap(PictureIndex.read) ?? [:]
        let stamps = paths.map(PictureIndex.stamp)
        var contents = stamps.map { $0.flatMap { remembered[$0] } }
        let missing = paths.indices.filter { contents[$0] == nil && stamps[$0] != nil }
        let digests = Parallel.map(missing.count) { position in
            try? FileBytes(path: paths[missing[position]], limit: limits.maxFileBytes, access: .copied).digest()
        }
        let now = Int(time(nil))
        var settled = [Bool](repeating: true, count: paths.count)
        for (index, digest) in zip(missing, digests) {
            // Changed while it was read: what it holds has no name.
            guard let digest, let stamp = stamps[index], PictureIndex.stamp(paths[index]) == stamp else { continue }
            contents[index] = digest
            // Seconds before 1970 are negative.
            let changed = max(Int(bitPattern: UInt(stamp[3])), Int(bitPattern: UInt(stamp[5])))
            settled[index] = changed < now - PictureIndex.settlingSeconds
            hasNews = hasNews || settled[index]
        }
        self.paths = paths
        self.stamps = stamps
        self.contents = contents
        self.settled = settled
    }

    /// True when the file at `index` is still the one whose content is named.
    func isUnchanged(_ index: Int) -> Bool { PictureIndex.stamp(paths[index]) == stamps[index] }

    private static func stamp(_ path: String) -> Stamp? {
        guard let status = try? FileStatus(path: path) else { return nil }
        let numbers = [
            status.byteCount, status.modifiedSeconds, status.modifiedNanoseconds, status.changedSeconds,
            status.changedNanoseconds, 0,
        ]
        return Stamp([status.device, status.inode] + numbers.map { UInt64(bitPattern: Int64($0)) })
    }

    // MARK: - On disk

    /// Name of the index file for a list of paths.
    static func fileName(_ paths: [String]) -> String {
        var hash = SHA256()
        for path in paths { hash.update(Array(path.utf8) + [0]) }
        return "pictures-\(hash.value).safetensors"
    }

    /// Writes what is known of files that have settled.
    func write(to path: String) throws {
        let kept = contents.indices.filter { contents[$0] != nil && settled[$0] }
        let stamps = NDArray(
            kept.flatMap { index in (0..<8).map { self.stamps[index]?[$0] ?? 0 } }, shape: [kept.count, 8])
        let digests = NDArray(digests: kept.compactMap { contents[$0] })
        try Safetensors.write(
            ["stamps": stamps, "contents": digests],
            metadata: ["checksum": PictureIndex.checksum(stamps, digests)], to: path)
    }

    /// Nil when there is no index or it is not intact.
    private static func read(_ path: String) -> [Stamp: SHA256.Digest]? {
        guard let file = try? SafetensorsFile(path: path), let stamps = try? file.tensor(named: "stamps"),
            let contents = try? file.tensor(named: "contents"), let digests = contents.digests(),
            stamps.dtype == .uint64, stamps.shape == [digests.count, 8],
            file.metadata["checksum"] == checksum(stamps, contents)
        else { return nil }
        let words = stamps.elements(as: UInt64.self)
        return Dictionary(
            digests.enumerated().map { row, digest in (Stamp(words[row * 8..<row * 8 + 8]), digest) },
            uniquingKeysWith: { first, _ in first })
    }

    private static func checksum(_ stamps: NDArray, _ contents: NDArray) -> String {
        var hash = SHA256()
        hash.update(stamps.contentDigest().bytes + contents.contentDigest().bytes)
        return hash.hexDigest()
    }
}

extension NDArray {
    /// `uint64 [n, 4]`, a digest per row.
    init(digests: [SHA256.Digest]) {
        self.init(digests.flatMap { digest in (0..<4).map { digest.words[$0] } }, shape: [digests.count, 4])
    }

    /// A digest per row, or nil when the array does not hold digests.
    func digests() -> [SHA256.Digest]? {
        guard dtype == .uint64, rank == 2, shape[1] == 4 else { return nil }
        let words = elements(as: UInt64.self)
        return (0..<shape[0]).map { SHA256.Digest(words: SIMD4(words[$0 * 4..<$0 * 4 + 4])) }
    }
}
