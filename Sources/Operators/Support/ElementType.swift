import TensorCore

extension DType {
    /// The type that ONNX's `TensorProto.DataType` numbers so; nil for strings, complex and sub-byte types.
    public init?(onnx number: Int) {
        switch number {
        case 1: self = .float32
        case 2: self = .uint8
        case 3: self = .int8
        case 4: self = .uint16
        case 5: self = .int16
        case 6: self = .int32
        case 7: self = .int64
        case 9: self = .bool
        case 10: self = .float16
        case 11: self = .float64
        case 12: self = .uint32
        case 13: self = .uint64
        case 16: self = .bfloat16
        default: return nil
        }
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
