/// Element type of an `NDArray`; names follow PyTorch, the set follows ONNX's numeric tensors.
public enum DType: UInt8, Sendable, CaseIterable {
    case float32, float64, float16, bfloat16
    case int8, int16, int32, int64
    case uint8, uint16, uint32, uint64
    case bool

    /// Bytes per element.
    @inlinable public var size: Int {
        switch self {
        case .bool, .int8, .uint8: 1
        case .float16, .bfloat16, .int16, .uint16: 2
        case .float32, .int32, .uint32: 4
        case .float64, .int64, .uint64: 8
        }
    }

    /// True for `float32`, `float64`, `float16` and `bfloat16`: only these can require gradients.
    @inlinable public var isFloatingPoint: Bool {
        switch self {
        case .float32, .float64, .float16, .bfloat16: true
        default: false
        }
    }

    /// True for signed and unsigned integers; `bool` is not one.
    @inlinable public var isInteger: Bool { !isFloatingPoint && self != .bool }
}

extension DType: CustomStringConvertible {
    public var description: String {
        switch self {
        case .float32: "float32"
        case .float64: "float64"
        case .float16: "float16"
        case .bfloat16: "bfloat16"
        case .int8: "int8"
        case .int16: "int16"
        case .int32: "int32"
        case .int64: "int64"
        case .uint8: "uint8"
        case .uint16: "uint16"
        case .uint32: "uint32"
        case .uint64: "uint64"
        case .bool: "bool"
        }
    }
}

/// A Swift type that an array's elements can be read and written as.
public protocol Scalar: Sendable, Hashable {
    static var dtype: DType { get }
}

/// A `Scalar` with arithmetic: every one but `Bool`, `Float16Bits` and `BFloat16`.
public protocol NumericScalar: Scalar, Numeric, Comparable {
    /// Nearest value; integers truncate toward zero and saturate.
    init(converting value: Double)
    var asDouble: Double { get }
}

/// A `NumericScalar` with a fraction: `Float` and `Double`.
public protocol FloatingScalar: NumericScalar, BinaryFloatingPoint {}

extension Float: FloatingScalar {
    public static var dtype: DType { .float32 }
    @inlinable public init(converting value: Double) { self = Float(value) }
    @inlinable public var asDouble: Double { Double(self) }
}
extension Double: FloatingScalar {
    public static var dtype: DType { .float64 }
    @inlinable public init(converting value: Double) { self = value }
    @inlinable public var asDouble: Double { self }
}

extension NumericScalar where Self: FixedWidthInteger {
    @inlinable public init(converting value: Double) {
        if value.isNaN {
            self = 0
        } else {
            self = Self(exactly: value.rounded(.towardZero)) ?? (value < 0 ? Self.min : Self.max)
        }
    }
    @inlinable public var asDouble: Double { Double(self) }
}
extension Int8: NumericScalar { public static var dtype: DType { .int8 } }
extension Int16: NumericScalar { public static var dtype: DType { .int16 } }
extension Int32: NumericScalar { public static var dtype: DType { .int32 } }
extension Int64: NumericScalar { public static var dtype: DType { .int64 } }
extension Int: NumericScalar { public static var dtype: DType { .int64 } }
extension UInt8: NumericScalar { public static var dtype: DType { .uint8 } }
extension UInt16: NumericScalar { public static var dtype: DType { .uint16 } }
extension UInt32: NumericScalar { public static var dtype: DType { .uint32 } }
extension UInt64: NumericScalar { public static var dtype: DType { .uint64 } }
extension Bool: Scalar { public static var dtype: DType { .bool } }

/// IEEE 754 half precision, held as bits; converted to `float32` for computing.
public struct Float16Bits: Scalar {
    public static var dtype: DType { .float16 }
    public var bitPattern: UInt16
    public init(bitPattern: UInt16) { self.bitPattern = bitPattern }

    /// Rounds to nearest, ties to even; overflow becomes infinity.
    public init(_ value: Float) {
        let bits = value.bitPattern
        let sign = UInt16(truncatingIfNeeded: bits >> 16) & 0x8000
        let magnitude = bits & 0x7FFF_FFFF
        if magnitude > 0x7F80_0000 {
            bitPattern = sign | 0x7E00
        } else if magnitude >= 0x4780_0000 {
            bitPattern = sign | 0x7C00
        } else if magnitude < 0x3880_0000 {
            // Below the smallest normal half: adding 0.5 puts the half's last bit at the float's last bit.
            let rounded = Float(bitPattern: magnitude) + 0.5
            bitPattern = sign | UInt16(truncatingIfNeeded: rounded.bitPattern &- Float(0.5).bitPattern)
        } else {
            let rebased = magnitude &- 0x3800_0000
            let roundedBits = (rebased &+ 0xFFF &+ ((rebased >> 13) & 1)) >> 13
            bitPattern = sign | UInt16(truncatingIfNeeded: roundedBits)
        }
    }

    public var floatValue: Float {
        let sign = UInt32(bitPattern & 0x8000) << 16
        let exponent = UInt32(bitPattern >> 10) & 0x1F
        let mantissa = UInt32(bitPattern & 0x3FF)
        if exponent == 0x1F { return Float(bitPattern: sign | 0x7F80_0000 | mantissa << 13) }
        if exponent == 0 {
            let magnitude = Float(mantissa) * 0x1p-24
            return sign == 0 ? magnitude : -magnitude
        }
        return Float(bitPattern: sign | (exponent + 112) << 23 | mantissa << 13)
    }
}

/// Brain floating point: the upper half of a `float32`; converted to `float32` for computing.
public struct BFloat16: Scalar {
    public static var dtype: DType { .bfloat16 }
    public var bitPattern: UInt16
    public init(bitPattern: UInt16) { self.bitPattern = bitPattern }

    /// Rounds to nearest, ties to even.
    public init(_ value: Float) {
        let bits = value.bitPattern
        if value.isNaN {
            bitPattern = UInt16(truncatingIfNeeded: bits >> 16) | 0x40
        } else {
            bitPattern = UInt16(truncatingIfNeeded: (bits &+ 0x7FFF &+ ((bits >> 16) & 1)) >> 16)
        }
    }

    public var floatValue: Float { Float(bitPattern: UInt32(bitPattern) << 16) }
}
