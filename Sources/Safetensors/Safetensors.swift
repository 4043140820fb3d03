import Files
import FoundationEssentials
import TensorCore

/// Writing safetensors files; reading is `SafetensorsFile`.
public enum Safetensors {
    /// Writes `tensors` and `metadata` to `path`, complete or not at all.
    ///
    /// The same input gives the same bytes: tensors are ordered by element size, largest first, then by name, so that
    /// each is aligned in the file, and the header is padded to eight bytes. Throws `FileError`, or `SafetensorsError`
    /// for a tensor named `__metadata__`.
    public static func write(
        _ tensors: [String: NDArray], metadata: [String: String] = [:], to path: String, previousName: String? = nil
    ) throws {
        guard tensors[SafetensorsHeader.metadataKey] == nil else {
            throw SafetensorsError(
                path, .badTensor(name: SafetensorsHeader.metadataKey, "the name is reserved for metadata"))
        }
        let inOrder = tensors.sorted { ($1.value.dtype.size, $0.key) < ($0.value.dtype.size, $1.key) }
        let file = try AtomicFile(path: path)
        let header = try encodedHeader(of: inOrder, metadata: metadata)
        try file.write((0..<8).map { UInt8(truncatingIfNeeded: header.count >> (8 * $0)) })
        try file.write(header)
        for (_, tensor) in inOrder {
            try tensor.withLittleEndianBytes { try file.write($0) }
        }
        try file.commit(previousName: previousName)
    }

    private static func encodedHeader(
        of tensors: [(key: String, value: NDArray)], metadata: [String: String]
    ) throws -> [UInt8] {
        var header = SafetensorsHeader(metadata: metadata, entries: [:])
        var offset = 0
        for (name, tensor) in tensors {
            header.entries[name] = SafetensorsHeader.Entry(
                dtype: tensor.dtype.safetensorsName, shape: tensor.shape, begin: offset,
                end: offset + tensor.byteCount)
            offset += tensor.byteCount
        }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        var bytes = [UInt8](try encoder.encode(header))
        bytes.append(contentsOf: repeatElement(UInt8(ascii: " "), count: (8 - bytes.count % 8) % 8))
        return bytes
    }
}
