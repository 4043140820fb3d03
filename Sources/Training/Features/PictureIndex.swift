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
struct PictureIndex: Sendable {
    /// One for each path; nil for a file that cannot be read.
    private(set) var contents: [SHA256.Digest?]
    /// True when a file was read that later runs need not read.
    let hasNews: Bool
    private let paths: [String]
    private let stamps: [Stamp?]
    private let settled: [Bool]

    /// What identifies one state of a file: device, inode, size, modification and status change in seconds and
    /// nanoseconds.
    typealias Stamp = SIMD8<UInt64>
    private static let settlingSeconds = 2

    /// What was learned of one file.
    struct Finding: Sendable {
        var stamp: Stamp?
        var content: SHA256.Digest?
        /// Whether the file was read for it.
        var isNew = false
        /// Whether later runs may rely on it.
        var isSettled = true

        /// Identifies the file at `path`, reading it only when `known` does not have it.
        init(_ path: String, known: [Stamp: SHA256.Digest], limits: DecodeLimits) {
            guard let stamp = PictureIndex.stamp(path) else { return }
            self.stamp = stamp
            content = known[stamp]
            guard content == nil,
                let digest = try? FileBytes(path: path, limit: limits.maxFileBytes, access: .copied).digest(),
                // Changed while it was read: what it holds has no name.
                PictureIndex.stamp(path) == stamp
            else { return }
            content = digest
            isNew = true
            // Seconds before 1970 are negative.
            let changed = max(Int(bitPattern: UInt(stamp[3])), Int(bitPattern: UInt(stamp[5])))
            isSettled = changed < Int(time(nil)) - PictureIndex.settlingSeconds
        }
    }

    /// Puts together what was found at `paths`.
    init(_ paths: [String], _ findings: [Finding]) {
        self.paths = paths
        stamps = findings.map(\.stamp)
        contents = findings.map(\.content)
        settled = findings.map(\.isSettled)
        hasNews = findings.contains { $0.isNew && $0.isSettled }
    }

    /// Identifies `paths`, reading only what the index file `known` does not have.
    init(_ paths: [String], known: String?, limits: DecodeLimits) {
        let known = known.flatMap(PictureIndex.read) ?? [:]
        self.init(paths, Parallel.map(paths.count) { Finding(paths[$0], known: known, limits: limits) })
    }

    /// True when the file at `index` is still the one whose content is named.
    func isUnchanged(_ index: Int) -> Bool { PictureIndex.stamp(paths[index]) == stamps[index] }

    private static func stamp(_ path: String) -> Stamp? {
        guard let status = try? FileStatus(path: path) else { return nil }
        func bits(_ number: Int) -> UInt64 { UInt64(bitPattern: Int64(number)) }
        return Stamp(
            status.device, status.inode, bits(status.byteCount), bits(status.modifiedSeconds),
            bits(status.modifiedNanoseconds), bits(status.changedSeconds), bits(status.changedNanoseconds), 0)
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
        var words: [UInt64] = []
        words.reserveCapacity(8 * kept.count)
        for index in kept {
            let stamp = stamps[index] ?? Stamp()
            for word in 0..<8 { words.append(stamp[word]) }
        }
        let stamps = NDArray(words, shape: [kept.count, 8])
        let digests = NDArray(digests: kept.compactMap { contents[$0] })
        try Safetensors.write(
            ["stamps": stamps, "contents": digests],
            metadata: ["checksum": PictureIndex.checksum(stamps, digests)], to: path)
    }

    /// Nil when there is no index or it is not intact.
    static func read(_ path: String) -> [Stamp: SHA256.Digest]? {
        guard let file = try? SafetensorsFile(path: path), let stamps = try? file.tensor(named: "stamps"),
            let contents = try? file.tensor(named: "contents"), let digests = contents.digests(),
            stamps.dtype == .uint64, stamps.shape == [digests.count, 8],
            file.metadata["checksum"] == checksum(stamps, contents)
        else { return nil }
        var known: [Stamp: SHA256.Digest] = [:]
        known.reserveCapacity(digests.count)
        stamps.withUnsafeBytes { bytes in
            for (row, digest) in digests.enumerated() {
                known[bytes.loadUnaligned(fromByteOffset: 64 * row, as: Stamp.self)] = digest
            }
        }
        return known
    }

    private static func checksum(_ stamps: NDArray, _ contents: NDArray) -> String {
        var hash = SHA256()
        hash.update(stamps.contentDigest())
        hash.update(contents.contentDigest())
        return hash.hexDigest()
    }
}

extension NDArray {
    /// `uint64 [n, 4]`, a digest per row.
    init(digests: [SHA256.Digest]) {
        var words: [UInt64] = []
        words.reserveCapacity(4 * digests.count)
        for digest in digests {
            for word in 0..<4 { words.append(digest.words[word]) }
        }
        self.init(words, shape: [digests.count, 4])
    }

    /// A digest per row, or nil when the array does not hold digests.
    func digests() -> [SHA256.Digest]? {
        guard dtype == .uint64, rank == 2, shape[1] == 4 else { return nil }
        return withUnsafeBytes { bytes in
            (0..<shape[0]).map { row in
                SHA256.Digest(words: bytes.loadUnaligned(fromByteOffset: 32 * row, as: SIMD4<UInt64>.self))
            }
        }
    }
}
