/// Where a tensor's elements lie in the model file.
struct TensorPayload: Sendable {
    /// The fields of TensorProto that hold elements, by field number.
    enum Form: UInt8, Sendable, CaseIterable {
        case float = 4
        case int32 = 5
        case string = 6
        case int64 = 7
        case raw = 9
        case double = 10
        case uint64 = 11

        var fieldName: String {
            switch self {
            case .float: "float_data"
            case .int32: "int32_data"
            case .string: "string_data"
            case .int64: "int64_data"
            case .raw: "raw_data"
            case .double: "double_data"
            case .uint64: "uint64_data"
            }
        }

        /// Whether packed elements all take the same number of bytes.
        var hasFixedSize: Bool { self == .raw || self == .float || self == .double }

        /// How one element is laid out when the field is not packed.
        var wireType: WireType {
            switch self {
            case .float: .fixed32
            case .double: .fixed64
            case .int32, .int64, .uint64: .varint
            case .string, .raw: .lengthDelimited
            }
        }
    }

    /// One stretch of elements.
    struct Piece: Sendable, Equatable {
        var form: Form
        /// Packed elements, or the whole of raw_data, without tag and length. Otherwise `range` is a run of fields with
        /// their tags.
        var isPacked: Bool
        var range: Range<Int>
    }

    var pieces: [Piece] = []
}
