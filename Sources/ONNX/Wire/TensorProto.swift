import Files
import Operators
import TensorCore

/// A constant tensor of a model, whose elements are read when asked for (`array()`).
public struct TensorProto: Sendable {
    public var name: String
    public var dims: [Int64]
    public var dataType: DataType
    public var docString: String
    public var metadataProps: [StringStringEntryProto]
    /// Where the elements are when they are in another file: `location`, `offset`, `length`.
    public var externalData: [StringStringEntryProto]
    var content: Content
    /// Position among all tensors of the file, in the order of their bytes; nil for one made in memory.
    var ordinal: Int?

    enum Content: Sendable {
        case file(ElementSource, TensorPayload)
        case external(ElementSource)
        /// Both an external location and elements in the model, or a part of a tensor cut in segments.
        case contradictory(ElementSource, String)
        case memory(NDArray)
    }

    /// A tensor made in memory rather than read.
    public init(name: String, array: NDArray) {
        self.name = name
        self.dims = array.shape.map(Int64.init)
        self.dataType = DataType(array.dtype)
        self.docString = ""
        self.metadataProps = []
        self.externalData = []
        self.content = .memory(array)
    }

    init(
        name: String, dims: [Int64], dataType: DataType, docString: String, metadataProps: [StringStringEntryProto],
        externalData: [StringStringEntryProto], content: Content, ordinal: Int?
    ) {
        self.name = name
        self.dims = dims
        self.dataType = dataType
        self.docString = docString
        self.metadataProps = metadataProps
        self.externalData = externalData
        self.content = content
        self.ordinal = ordinal
    }

    /// Whether the elements are in another file.
    public var isExternal: Bool {
        if case .external = content { return true }
        return false
    }

    /// How the file stores the elements: `raw_data`, `float_data`, .., `external`; empty for a tensor without elements
    /// or made in memory.
    public var storageName: String {
        switch content {
        case .file(_, let payload): payload.pieces.first?.form.fieldName ?? ""
        case .external: "external"
        case .contradictory, .memory: ""
        }
    }
}

extension TensorProto {
    /// ONNX's numbering of element types. Numbers this project does not know are kept.
    public struct DataType: RawRepresentable, Hashable, Sendable {
        public let rawValue: Int32
        public init(rawValue: Int32) { self.rawValue = rawValue }

        public static let undefined = DataType(rawValue: 0)
        public static let float = DataType(rawValue: 1)
        public static let uint8 = DataType(rawValue: 2)
        public static let int8 = DataType(rawValue: 3)
        public static let uint16 = DataType(rawValue: 4)
        public static let int16 = DataType(rawValue: 5)
        public static let int32 = DataType(rawValue: 6)
        public static let int64 = DataType(rawValue: 7)
        public static let string = DataType(rawValue: 8)
        public static let bool = DataType(rawValue: 9)
        public static let float16 = DataType(rawValue: 10)
        public static let double = DataType(rawValue: 11)
        public static let uint32 = DataType(rawValue: 12)
        public static let uint64 = DataType(rawValue: 13)
        public static let bfloat16 = DataType(rawValue: 16)

        private static let names = [
            "UNDEFINED", "FLOAT", "UINT8", "INT8", "UINT16", "INT16", "INT32", "INT64", "STRING", "BOOL", "FLOAT16",
            "DOUBLE", "UINT32", "UINT64", "COMPLEX64", "COMPLEX128", "BFLOAT16", "FLOAT8E4M3FN", "FLOAT8E4M3FNUZ",
            "FLOAT8E5M2", "FLOAT8E5M2FNUZ", "UINT4", "INT4", "FLOAT4E2M1", "FLOAT8E8M0", "UINT2", "INT2",
        ]

        /// The number of an element type.
        public init(_ dtype: DType) { self.init(rawValue: Int32(dtype.onnx)) }

        /// The element type to compute with, or nil for one this project cannot read.
        public var dtype: DType? { DType(onnx: Int(rawValue)) }

        /// Bits of one element, or nil where elements have no fixed size or the type is unknown.
        var bitsPerElement: Int? {
            switch rawValue {
            case 2, 3, 9, 17...20, 24: 8
            case 4, 5, 10, 16: 16
            case 1, 6, 12: 32
            case 7, 11, 13, 14: 64
            case 15: 128
            case 21...23: 4
            case 25, 26: 2
            default: nil
            }
        }

        /// The field that holds elements of this type when `raw_data` does not.
        var typedForm: TensorPayload.Form? {
            switch self {
            case .float: .float
            case .double: .double
            case .int64: .int64
            case .uint32, .uint64: .uint64
            case .string: .string
            case .int32, .int16, .int8, .uint16, .uint8, .bool, .float16, .bfloat16: .int32
            default: nil
            }
        }
    }
}

extension TensorProto.DataType: CustomStringConvertible {
    public var description: String {
        let names = TensorProto.DataType.names
        return rawValue >= 0 && rawValue < names.count ? names[Int(rawValue)] : "element type \(rawValue)"
    }
}
