/// How a field's value is laid out in protobuf's wire format.
enum WireType: UInt8, Sendable {
    case varint = 0
    case fixed64 = 1
    case lengthDelimited = 2
    case startGroup = 3
    case endGroup = 4
    case fixed32 = 5

    var name: String {
        switch self {
        case .varint: "varint"
        case .fixed64: "64-bit"
        case .lengthDelimited: "length-delimited"
        case .startGroup, .endGroup: "group"
        case .fixed32: "32-bit"
        }
    }
}

/// What is wrong with a piece of wire format, without the place.
enum WireProblem: Error, Equatable {
    case endsInsideVarint
    case varintTooLong
    case badTag(UInt64)
    case group
    case exceeds(length: UInt64, remaining: Int)
}

/// Reads wire format from `bytes[position..<end]`, never beyond `end`.
struct WireCursor {
    let bytes: UnsafeRawBufferPointer
    var position: Int
    var end: Int

    var isAtEnd: Bool { position >= end }

    mutating func varint() throws(WireProblem) -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while position < end {
            let byte = bytes[position]
            position += 1
            // The tenth byte holds one bit; protobuf drops what lies above.
            value |= shift < 64 ? UInt64(byte & 0x7F) << shift : 0
            if byte < 0x80 { return value }
            shift += 7
            guard shift < 70 else { throw .varintTooLong }
        }
        throw .endsInsideVarint
    }

    mutating func tag() throws(WireProblem) -> (field: UInt32, type: WireType) {
        let tag = try varint()
        guard tag <= UInt64(UInt32.max), tag >> 3 != 0, let type = WireType(rawValue: UInt8(tag & 7)) else {
            throw .badTag(tag)
        }
        guard type != .startGroup && type != .endGroup else { throw .group }
        return (UInt32(tag >> 3), type)
    }

    /// Moves past a value and returns where it lies, for length-delimited ones without the length.
    mutating func value(of type: WireType) throws(WireProblem) -> Range<Int> {
        switch type {
        case .varint:
            let start = position
            _ = try varint()
            return start..<position
        case .fixed64: return try take(8)
        case .fixed32: return try take(4)
        case .lengthDelimited: return try take(try varint())
        case .startGroup, .endGroup: throw .group
        }
    }

    private mutating func take(_ length: UInt64) throws(WireProblem) -> Range<Int> {
        guard length <= UInt64(end - position) else { throw .exceeds(length: length, remaining: end - position) }
        let start = position
        position += Int(length)
        return start..<position
    }
}

extension [UInt8] {
    mutating func appendVarint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        append(UInt8(rest))
    }

    mutating func appendTag(_ field: UInt32, _ type: WireType) {
        appendVarint(UInt64(field) << 3 | UInt64(type.rawValue))
    }
}
