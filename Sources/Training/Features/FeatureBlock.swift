import Files
import Safetensors
import TensorCore

/// Values at the cut for some pictures: a row per picture in one array for each boundary value.
///
/// In a file (safetensors, so that other programs can look at it) the arrays are `feature.0`, `feature.1`, ...; `pictures` holds
/// the SHA-256 of each picture's file, `checksums` that of each row together with what it belongs to.
struct FeatureBlock: Sendable {
    /// What the pictures contain, by row.
    let pictures: [SHA256.Digest]
    /// `[rows] + shape of the boundary value`
    let columns: [NDArray]

    var byteCount: Int { columns.reduce(0) { $0 + $1.byteCount } }

    /// Name of a file of these pictures; two runs that compute the same write the same file.
    func fileName(key: SHA256.Digest) -> String {
        var hash = SHA256()
        for picture in pictures { hash.update(picture.bytes) }
        return FeatureBlock.prefix(key: key) + "\(hash.value).safetensors"
    }

    /// What the names of all files under `key` begin with.
    static func prefix(key: SHA256.Digest) -> String { "\(key)".prefix(40) + "-" }

    func write(to path: String, key: SHA256.Digest) throws {
        var tensors = ["pictures": NDArray(digests: pictures), "checksums": NDArray(digests: checksums(key))]
        for (index, column) in columns.enumerated() { tensors["feature.\(index)"] = column }
        try Safetensors.write(tensors, metadata: ["key": "\(key)"], to: path)
    }

    /// Maps the block at `path` and checks every row; nil when it is not an intact block of `key`.
    static func read(_ path: String, key: SHA256.Digest) -> FeatureBlock? {
        guard let file = try? SafetensorsFile(path: path), file.metadata["key"] == "\(key)",
            let pictures = try? file.tensor(named: "pictures").digests(),
            let checksums = try? file.tensor(named: "checksums").digests()
        else { return nil }
        let columns = (0..<file.names.count - 2).compactMap { try? file.tensor(named: "feature.\($0)") }
        let block = FeatureBlock(pictures: pictures, columns: columns)
        guard !columns.isEmpty, columns.count == file.names.count - 2,
            columns.allSatisfy({ $0.shape.first == pictures.count }), block.checksums(key) == checksums
        else { return nil }
        return block
    }

    private func checksums(_ key: SHA256.Digest) -> [SHA256.Digest] {
        Parallel.map(pictures.count) { row in
            var hash = SHA256()
            hash.update(key.bytes + pictures[row].bytes)
            for column in columns {
                hash.update(Array("\(column.dtype) \(column.shape.dropFirst())".utf8))
                column.rows(row..<row + 1).withLittleEndianBytes { hash.update($0) }
            }
            return hash.value
        }
    }
}
