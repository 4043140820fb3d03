import Files
import TensorCore

/// One message of a file as the list of its fields, some of them changed.
///
/// This is how models are written: what is not changed is copied byte for byte from the file that was read, odd encodings
/// and unknown fields included, so nothing can get lost; only the changed fields and the lengths around them are new.
struct WireMessage {
    enum Part {
        case original(Original)
        /// A nested message with changes.
        case message(field: UInt32, WireMessage)
        /// Complete fields with their tags; nothing when empty.
        case encoded([UInt8])
        /// A length-delimited field that holds an array's elements.
        case elements(field: UInt32, NDArray)
        /// A length-delimited field that holds bytes of some file.
        case fileBytes(field: UInt32, FileBytes, Range<Int>)
    }

    struct Original {
        let field: UInt32
        let type: WireType
        /// The whole field, and its value without tag and length.
        let range: Range<Int>
        let value: Range<Int>
    }

    private(set) var parts: [Part] = []

    init() {}

    /// The fields of the message at `range` of `bytes`.
    init(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>) throws(WireProblem) {
        var cursor = WireCursor(bytes: bytes, position: range.lowerBound, end: range.upperBound)
        while !cursor.isAtEnd {
            let start = cursor.position
            let tag = try cursor.tag()
            let value = try cursor.value(of: tag.type)
            parts.append(
                .original(Original(field: tag.field, type: tag.type, range: start..<cursor.position, value: value)))
        }
    }

    // MARK: - Finding and changing fields

    /// Positions of the fields `field` that are still the file's own or edited messages.
    func positions(of field: UInt32) -> [Int] {
        parts.indices.filter {
            switch parts[$0] {
            case .original(let original): original.field == field
            case .message(let number, _): number == field
            case .encoded, .elements, .fileBytes: false
            }
        }
    }

    /// The value of the field at `position`, for the file's own length-delimited fields.
    func text(at position: Int, in bytes: UnsafeRawBufferPointer) -> String? {
        guard case .original(let original) = parts[position], original.type == .lengthDelimited else { return nil }
        return String(decoding: bytes[original.value], as: UTF8.self)
    }

    /// Changes the message in the field at `position`.
    mutating func edit(
        at position: Int, in bytes: UnsafeRawBufferPointer, _ body: (inout WireMessage) throws -> Void
    ) throws {
        switch parts[position] {
        case .original(let original):
            var child = try WireMessage(bytes, original.value)
            try body(&child)
            parts[position] = .message(field: original.field, child)
        case .message(let field, var child):
            // Out of the list while it is changed, so that its own list is not copied.
            parts[position] = .encoded([])
            try body(&child)
            parts[position] = .message(field: field, child)
        case .encoded, .elements, .fileBytes:
            preconditionFailure("the field was replaced already")
        }
    }

    mutating func replace(at position: Int, with part: Part) { parts[position] = part }

    mutating func remove(at position: Int) { parts[position] = .encoded([]) }

    mutating func append(_ part: Part) { parts.append(part) }

    mutating func insert(_ part: Part, at position: Int) { parts.insert(part, at: position) }

    // MARK: - Writing

    /// Bytes that `emit` will produce.
    var byteCount: Int { parts.reduce(0) { $0 + $1.byteCount } }

    /// Passes the message's bytes to `sink`, neighbouring original fields in one go.
    func emit(_ original: UnsafeRawBufferPointer, to sink: (UnsafeRawBufferPointer) throws -> Void) throws {
        var pending = 0..<0
        func flush() throws {
            if !pending.isEmpty { try sink(UnsafeRawBufferPointer(rebasing: original[pending])) }
            pending = 0..<0
        }
        for part in parts {
            if case .original(let field) = part {
                if pending.upperBound == field.range.lowerBound && !pending.isEmpty {
                    pending = pending.lowerBound..<field.range.upperBound
                } else {
                    try flush()
                    pending = field.range
                }
                continue
            }
            try flush()
            try part.emit(original, to: sink)
        }
        try flush()
    }
}

extension WireMessage.Part {
    fileprivate var byteCount: Int {
        switch self {
        case .original(let original): original.range.count
        case .encoded(let bytes): bytes.count
        case .message(let field, let message): delimited(field, message.byteCount)
        case .elements(let field, let array): delimited(field, array.byteCount)
        case .fileBytes(let field, _, let range): delimited(field, range.count)
        }
    }

    private func header(_ field: UInt32, _ length: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.appendTag(field, .lengthDelimited)
        bytes.appendVarint(UInt64(length))
        return bytes
    }

    private func delimited(_ field: UInt32, _ length: Int) -> Int { header(field, length).count + length }

    fileprivate func emit(
        _ original: UnsafeRawBufferPointer, to sink: (UnsafeRawBufferPointer) throws -> Void
    ) throws {
        switch self {
        case .original(let field): try sink(UnsafeRawBufferPointer(rebasing: original[field.range]))
        case .encoded(let bytes): try bytes.withUnsafeBytes(sink)
        case .message(let field, let message):
            try header(field, message.byteCount).withUnsafeBytes(sink)
            try message.emit(original, to: sink)
        case .elements(let field, let array):
            try header(field, array.byteCount).withUnsafeBytes(sink)
            try array.withLittleEndianBytes(sink)
        case .fileBytes(let field, let file, let range):
            try header(field, range.count).withUnsafeBytes(sink)
            try file.withUnsafeBytes { try sink(UnsafeRawBufferPointer(rebasing: $0[range])) }
        }
    }
}

/// Encodes small messages field by field.
struct WireEncoder {
    private(set) var bytes: [UInt8] = []

    init(_ build: (inout WireEncoder) -> Void) { build(&self) }

    mutating func int(_ field: UInt32, _ value: Int64) {
        bytes.appendTag(field, .varint)
        bytes.appendVarint(UInt64(bitPattern: value))
    }

    mutating func text(_ field: UInt32, _ value: String) { data(field, Array(value.utf8)) }

    mutating func message(_ field: UInt32, _ build: (inout WireEncoder) -> Void) {
        data(field, WireEncoder(build).bytes)
    }

    mutating func data(_ field: UInt32, _ value: [UInt8]) {
        bytes.appendTag(field, .lengthDelimited)
        bytes.appendVarint(UInt64(value.count))
        bytes += value
    }
}

/// Numbers of the fields that export changes, as in `schemas/onnx.proto`.
enum FieldNumber {
    enum Model {
        static let graph: UInt32 = 7
        static let metadataProps: UInt32 = 14
    }
    enum Graph {
        static let node: UInt32 = 1
        static let initializer: UInt32 = 5
        static let input: UInt32 = 11
        static let output: UInt32 = 12
        static let valueInfo: UInt32 = 13
    }
    enum Node {
        static let input: UInt32 = 1
        static let output: UInt32 = 2
        static let attribute: UInt32 = 5
    }
    enum Attribute {
        static let name: UInt32 = 1
    }
    enum Tensor {
        static let dims: UInt32 = 1
        static let dataType: UInt32 = 2
        static let name: UInt32 = 8
        static let externalData: UInt32 = 13
        static let dataLocation: UInt32 = 14
    }
    enum ValueInfo {
        static let name: UInt32 = 1
        static let type: UInt32 = 2
    }
    enum TypeOfValue {
        static let tensor: UInt32 = 1
    }
    enum TensorType {
        static let elementType: UInt32 = 1
        static let shape: UInt32 = 2
    }
    enum Shape {
        static let dim: UInt32 = 1
    }
    enum Dimension {
        static let value: UInt32 = 1
        static let parameter: UInt32 = 2
    }
    enum Entry {
        static let key: UInt32 = 1
        static let value: UInt32 = 2
    }
}
