import Files
import Safetensors
import TensorCore

/// Values at the cut for some pictures: a row per picture in one array for each boundary value.
///
/// In a file (safetensors, so that other programs can look at it) the arrays are `feature.0`, `feature.1`, ...; `pictures` holds
/// the SHA-256 of each picture's file, `checksums` that of each row together with what it belongs to.
final class FeatureBlock: Sendable {
    /// What the pictures contain, by row.
    let pictures: [SHA256.Digest]
    /// `[rows] + shape of the boundary value`
    let columns: [NDArray]
    /// Nil for values computed here.
    private let stored: Stored?

    init(pictures: [SHA256.Digest], columns: [NDArray], stored: Stored? = nil) {
        self.pictures = pictures
        self.columns = columns
        self.stored = stored
    }

    var byteCount: Int { columns.reduce(0) { $0 + $1.byteCount } }

    /// Name of a file of these pictures; two runs that compute the same write the same file.
    func fileName(key: SHA256.Digest) -> String {
        var hash = SHA256()
        for picture in pictures { hash.update(picture) }
        return FeatureBlock.prefix(key: key) + "\(hash.value).safetensors"
    }

    /// What the names of all files under `key` begin with.
    static func prefix(key: SHA256.Digest) -> String { "\(key)".prefix(40) + "-" }

    func write(to path: String, key: SHA256.Digest) throws {
        let kinds = kinds
        let checksums = Parallel.map(pictures.count) { checksum(ofRow: $0, key, kinds) }
        var tensors = ["pictures": NDArray(digests: pictures), "checksums": NDArray(digests: checksums)]
        for (index, column) in columns.enumerated() { tensors["feature.\(index)"] = column }
        try Safetensors.write(tensors, metadata: ["key": "\(key)"], to: path)
    }

    /// Type and shape of a row of each column, as checksums have them.
    private var kinds: [[UInt8]] { columns.map { Array("\($0.dtype) \($0.shape.dropFirst())".utf8) } }

    private func checksum(ofRow row: Int, _ key: SHA256.Digest, _ kinds: [[UInt8]]) -> SHA256.Digest {
        var hash = SHA256()
        hash.update(key)
        hash.update(pictures[row])
        for (column, kind) in zip(columns, kinds) {
            hash.update(kind)
            column.rows(row..<row + 1).withLittleEndianBytes { hash.update($0) }
        }
        return hash.value
    }
}

extension FeatureBlock {
    /// A block on the disk, mapped: its header is whole, its rows are not looked at.
    struct File {
        private let key: SHA256.Digest
        private let pictures: NDArray
        private let checksums: NDArray
        private let columns: [NDArray]

        /// Nil when the file at `path` is not a block of `key`.
        init?(_ path: String, key: SHA256.Digest) {
            guard let file = try? SafetensorsFile(path: path), file.metadata["key"] == "\(key)",
                let pictures = try? file.tensor(named: "pictures"), let checksums = try? file.tensor(named: "checksums")
            else { return nil }
            let columns = (0..<file.names.count - 2).compactMap { try? file.tensor(named: "feature.\($0)") }
            let count = pictures.shape.first ?? 0
            guard !columns.isEmpty, columns.count == file.names.count - 2,
                columns.allSatisfy({ $0.shape.first == count }),
                [pictures, checksums].allSatisfy({ $0.dtype == .uint64 && $0.shape == [count, 4] })
            else { return nil }
            self.key = key
            self.pictures = pictures
            self.checksums = checksums
            self.columns = columns
        }

        /// The block if it holds one of the pictures that are `wanted`.
        func block(holding wanted: Set<SHA256.Digest>) -> FeatureBlock? {
            let isWanted = pictures.withUnsafeBytes { bytes in
                stride(from: 0, to: bytes.count, by: 32).contains { start in
                    let words = bytes.loadUnaligned(fromByteOffset: start, as: SIMD4<UInt64>.self)
                    return wanted.contains(SHA256.Digest(words: words))
                }
            }
            return isWanted ? block() : nil
        }

        /// The whole block.
        func block() -> FeatureBlock? {
            pictures.digests().map {
                FeatureBlock(pictures: $0, columns: columns, stored: Stored(key: key, checksums: checksums))
            }
        }
    }

    /// What a file says about its rows.
    struct Stored: Sendable {
        let key: SHA256.Digest
        let checksums: NDArray
    }

    /// Whether each of `rows` is as it was written, as far as the block comes from a file.
    func areIntact(_ rows: [Int]) -> Bool {
        guard let stored else { return true }
        let kinds = kinds
        // A task for many rows: one row is checked in less time than it takes to hand it over.
        let portion = 256
        return Parallel.map((rows.count + portion - 1) / portion) { part in
            rows[part * portion..<min((part + 1) * portion, rows.count)].allSatisfy { row in
                let words = stored.checksums.withUnsafeBytes {
                    $0.loadUnaligned(fromByteOffset: 32 * row, as: SIMD4<UInt64>.self)
                }
                return checksum(ofRow: row, stored.key, kinds).words == words
            }
        }
        .allSatisfy(\.self)
    }
}
