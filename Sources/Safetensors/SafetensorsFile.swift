import Files
import FoundationEssentials
import TensorCore

/// A safetensors file, checked in full when opened; tensors are read when asked for and borrow the mapped file.
///
/// Format: eight bytes of little-endian header length, a JSON header, then the tensors' bytes without holes or overlap.
/// Source: https://huggingface.co/docs/safetensors.
public struct SafetensorsFile: Sendable {
    /// Largest header that is read unless told otherwise.
    public static let defaultHeaderLimit = 16 << 20

    public let path: String
    /// The tensors' names, sorted.
    public let names: [String]
    /// The file's string metadata.
    public let metadata: [String: String]
    private let bytes: FileBytes
    private let dataStart: Int
    private let entries: [String: SafetensorsHeader.Entry]

    /// Opens `path` and checks header, element types, shapes and offsets.
    ///
    /// Throws `FileError` when the file cannot be read, `SafetensorsError` when it is not what it should be.
    public init(
        path: String, headerLimit: Int = defaultHeaderLimit, access: FileBytes.Access = .mapped
    ) throws {
        try self.init(bytes: FileBytes(path: path, access: access), headerLimit: headerLimit)
    }

    /// Checks bytes that are held already.
    public init(bytes: FileBytes, headerLimit: Int = defaultHeaderLimit) throws {
        let path = bytes.path
        let headerEnd = try SafetensorsFile.headerEnd(of: bytes, limit: headerLimit)
        let header: SafetensorsHeader
        do {
            header = try bytes.withUnsafeBytes { raw in
                guard raw[8] == UInt8(ascii: "{") else {
                    throw SafetensorsError(path, .badHeader("the header does not start with '{'"))
                }
                return try JSONDecoder().decode(SafetensorsHeader.self, from: Data(raw[8..<headerEnd]))
            }
        } catch let error as SafetensorsError {
            throw error
        } catch {
            throw SafetensorsError(path, .badHeader(SafetensorsFile.reason(of: error)))
        }
        try SafetensorsFile.check(header.entries, dataByteCount: bytes.count - headerEnd, path: path)
        self.path = path
        self.bytes = bytes
        self.names = header.entries.keys.sorted()
        self.metadata = header.metadata
        self.dataStart = headerEnd
        self.entries = header.entries
    }

    /// Shape of the tensor `name`, or nil when there is none.
    public func shape(named name: String) -> [Int]? { entries[name]?.shape }

    /// The tensor `name`. Throws when there is none or when its element type cannot be computed with.
    public func tensor(named name: String) throws -> NDArray {
        guard let entry = entries[name] else {
            throw SafetensorsError(path, .noSuchTensor(name: name, closest: Array(names.prefix(8))))
        }
        guard let dtype = DType(safetensorsName: entry.dtype) else {
            throw SafetensorsError(path, .badTensor(name: name, "element type \(entry.dtype) is not supported"))
        }
        return bytes.array(
            in: dataStart + entry.begin..<dataStart + entry.end, shape: entry.shape, dtype: dtype)
    }

    /// Every tensor by name.
    public func tensors() throws -> [String: NDArray] {
        var all: [String: NDArray] = [:]
        for name in names { all[name] = try tensor(named: name) }
        return all
    }

    /// Where the header ends and the tensors' bytes begin.
    private static func headerEnd(of bytes: FileBytes, limit: Int) throws -> Int {
        guard bytes.count >= 8 else {
            throw SafetensorsError(bytes.path, .truncated("\(bytes.count) bytes, the header length alone takes 8"))
        }
        let length = bytes.withUnsafeBytes { UInt64(littleEndian: $0.loadUnaligned(as: UInt64.self)) }
        guard length <= UInt64(limit) else {
            throw SafetensorsError(bytes.path, .headerTooLarge(byteCount: length, limit: limit))
        }
        guard Int(length) <= bytes.count - 8 else {
            throw SafetensorsError(bytes.path, .truncated("header of \(length) bytes, \(bytes.count - 8) remain"))
        }
        guard length >= 2 else { throw SafetensorsError(bytes.path, .badHeader("header of \(length) bytes")) }
        return 8 + Int(length)
    }

    /// Every tensor has the bytes its shape needs, and together they cover the data exactly.
    private static func check(
        _ entries: [String: SafetensorsHeader.Entry], dataByteCount: Int, path: String
    ) throws {
        for (name, entry) in entries {
            if let problem = problem(with: entry, dataByteCount: dataByteCount) {
                throw SafetensorsError(path, .badTensor(name: name, problem))
            }
        }
        var covered = 0
        let inOrder = entries.sorted { ($0.value.begin, $0.value.end) < ($1.value.begin, $1.value.end) }
        for (name, entry) in inOrder {
            guard entry.begin == covered else {
                let what = entry.begin < covered ? "overlaps the tensor before it" : "leaves a hole before it"
                throw SafetensorsError(
                    path, .badTensor(name: name, "\(what): starts at \(entry.begin), not \(covered)"))
            }
            covered = entry.end
        }
        guard covered == dataByteCount else {
            throw SafetensorsError(
                path, .badHeader("tensors take \(covered) bytes, the file has \(dataByteCount) for them"))
        }
    }

    private static func problem(with entry: SafetensorsHeader.Entry, dataByteCount: Int) -> String? {
        guard let bits = DType(safetensorsName: entry.dtype).map({ $0.size * 8 }) ?? bitsOfUnreadableTypes[entry.dtype]
        else { return "unknown element type '\(entry.dtype)'" }
        guard let count = checkedElementCount(entry.shape, bytesPerElement: 64) else {
            return entry.shape.contains { $0 < 0 }
                ? "negative dimension in shape \(entry.shape)" : "shape \(entry.shape) is too large"
        }
        let total = count * bits
        guard total % 8 == 0 else { return "shape \(entry.shape) of \(entry.dtype) does not fill whole bytes" }
        guard entry.begin >= 0, entry.begin <= entry.end, entry.end <= dataByteCount else {
            return "data_offsets [\(entry.begin), \(entry.end)] lie outside the \(dataByteCount) bytes of data"
        }
        guard entry.end - entry.begin == total / 8 else {
            return "data_offsets hold \(entry.end - entry.begin) bytes, shape \(entry.shape) of \(entry.dtype) needs "
                + "\(total / 8)"
        }
        return nil
    }

    private static func reason(of error: any Error) -> String {
        switch error as? DecodingError {
        case .keyNotFound(let key, let context): "'\(key.stringValue)' is missing in \(place(context))"
        case .typeMismatch(_, let context), .valueNotFound(_, let context):
            "wrong type in \(place(context)): \(context.debugDescription)"
        case .dataCorrupted(let context): "\(place(context)): \(context.debugDescription)"
        default: "\(error)"
        }
    }

    private static func place(_ context: DecodingError.Context) -> String {
        context.codingPath.isEmpty
            ? "the header" : "'" + context.codingPath.map(\.stringValue).joined(separator: ".") + "'"
    }
}
