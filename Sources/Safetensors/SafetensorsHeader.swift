import FoundationEssentials
import TensorCore

/// The JSON object at the start of a safetensors file: `{"NAME": {"dtype": "F32", "shape": [..], "data_offsets": [a, b]}}`
/// with string metadata under `__metadata__`.
struct SafetensorsHeader: Codable {
    struct Entry: Codable {
        var dtype: String
        var shape: [Int]
        var begin: Int
        var end: Int

        private enum CodingKeys: String, CodingKey {
            case dtype, shape
            case dataOffsets = "data_offsets"
        }

        init(dtype: String, shape: [Int], begin: Int, end: Int) {
            self.dtype = dtype
            self.shape = shape
            self.begin = begin
            self.end = end
        }

        init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: CodingKeys.self)
            dtype = try container.decode(String.self, forKey: .dtype)
            shape = []
            var dimensions = try container.nestedUnkeyedContainer(forKey: .shape)
            while !dimensions.isAtEnd {
                guard shape.count < SafetensorsHeader.maximumRank else {
                    throw DecodingError.dataCorruptedError(
                        forKey: .shape, in: container,
                        debugDescription: "more than \(SafetensorsHeader.maximumRank) dimensions")
                }
                shape.append(try dimensions.decode(Int.self))
            }
            let offsets = try container.decode([Int].self, forKey: .dataOffsets)
            guard offsets.count == 2 else {
                throw DecodingError.dataCorruptedError(
                    forKey: .dataOffsets, in: container, debugDescription: "expected two offsets, got \(offsets.count)")
            }
            (begin, end) = (offsets[0], offsets[1])
        }

        func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(dtype, forKey: .dtype)
            try container.encode(shape, forKey: .shape)
            try container.encode([begin, end], forKey: .dataOffsets)
        }
    }

    static let metadataKey = "__metadata__"
    private static let maximumRank = 64
    private static let maximumEntries = 1 << 16

    var metadata: [String: String]
    var entries: [String: Entry]

    init(metadata: [String: String], entries: [String: Entry]) {
        self.metadata = metadata
        self.entries = entries
    }

    private struct Key: CodingKey {
        var stringValue: String
        var intValue: Int? { nil }
        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Key.self)
        metadata = [:]
        entries = [:]
        let keys = container.allKeys
        guard keys.count <= SafetensorsHeader.maximumEntries else {
            throw DecodingError.dataCorrupted(
                DecodingError.Context(
                    codingPath: [],
                    debugDescription: "\(keys.count) entries, at most \(SafetensorsHeader.maximumEntries) are read"))
        }
        for key in keys {
            if key.stringValue == SafetensorsHeader.metadataKey {
                metadata = try container.decode([String: String].self, forKey: key)
            } else {
                entries[key.stringValue] = try container.decode(Entry.self, forKey: key)
            }
        }
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Key.self)
        if !metadata.isEmpty {
            try container.encode(metadata, forKey: Key(stringValue: SafetensorsHeader.metadataKey))
        }
        for (name, entry) in entries {
            try container.encode(entry, forKey: Key(stringValue: name))
        }
    }
}

extension DType {
    /// The format's name, such as `F32`.
    var safetensorsName: String {
        switch self {
        case .float32: "F32"
        case .float64: "F64"
        case .float16: "F16"
        case .bfloat16: "BF16"
        case .int8: "I8"
        case .int16: "I16"
        case .int32: "I32"
        case .int64: "I64"
        case .uint8: "U8"
        case .uint16: "U16"
        case .uint32: "U32"
        case .uint64: "U64"
        case .bool: "BOOL"
        }
    }

    init?(safetensorsName: String) {
        guard let match = DType.allCases.first(where: { $0.safetensorsName == safetensorsName }) else { return nil }
        self = match
    }
}

/// Bits per element of the format's element types that `DType` lacks; such tensors are checked but not read.
let bitsOfUnreadableTypes = [
    "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8,
    "F6_E2M3": 6, "F6_E3M2": 6, "F4": 4, "C64": 64,
]
