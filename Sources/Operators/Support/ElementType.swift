import TensorCore

extension DType {
    /// ONNX's number of the type: `TensorProto.DataType`.
    public var onnx: Int {
        switch self {
        case .float32: 1
        case .uint8: 2
        case .int8: 3
        case .uint16: 4
        case .int16: 5
        case .int32: 6
        case .int64: 7
        case .bool: 9
        case .float16: 10
        case .float64: 11
        case .uint32: 12
        case .uint64: 13
        case .bfloat16: 16
        }
    }

    /// The type that ONNX numbers so; nil for strings, complex and sub-byte types.
    public init?(onnx number: Int) {
        guard let type = DType.allCases.first(where: { $0.onnx == number }) else { return nil }
        self = type
    }
}

extension NodeAttributes {
    /// An attribute that holds an element type.
    func dtype(_ name: String) throws -> DType? {
        guard let number = try int(name) else { return nil }
        guard let dtype = DType(onnx: number) else {
            throw unsupported(name, "element type \(number) is not supported")
        }
        return dtype
    }
}
