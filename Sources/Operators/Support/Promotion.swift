import Autograd
import TensorCore

/// A Swift number beside a tensor in an expression: the 2 of `2 * x`.
public protocol NumberOperand: NumericScalar {
    /// The number as a constant of the type that it has beside `tensor`.
    ///
    /// It takes the tensor's type, but a fraction turns integers into `float32`, and an integer turns bool into `int64`.
    func literal(beside tensor: Tensor) -> Tensor
}

extension NumberOperand where Self: BinaryFloatingPoint {
    public func literal(beside tensor: Tensor) -> Tensor {
        .literal(Double(self), dtype: tensor.dtype.isFloatingPoint ? tensor.dtype : .float32)
    }
}

extension Double: NumberOperand {}
extension Float: NumberOperand {}
extension Int: NumberOperand {
    public func literal(beside tensor: Tensor) -> Tensor {
        .literal(Double(self), dtype: tensor.dtype == .bool ? .int64 : tensor.dtype)
    }
}

extension DType {
    /// Order of the kinds of numbers: bool, integers, floating point.
    fileprivate var category: Int { self == .bool ? 0 : isInteger ? 1 : 2 }

    fileprivate var isSigned: Bool {
        switch self {
        case .int8, .int16, .int32, .int64: true
        default: false
        }
    }

    /// The smallest type that holds values of both. Source: `torch.promote_types`.
    public static func promoted(_ a: DType, _ b: DType) -> DType {
        if a == b { return a }
        if a.category != b.category { return a.category > b.category ? a : b }
        if a.isFloatingPoint {
            // Neither half holds the other.
            return a.size == b.size ? .float32 : a.size > b.size ? a : b
        }
        if a.isSigned == b.isSigned { return a.size > b.size ? a : b }
        let (signed, unsigned) = a.isSigned ? (a, b) : (b, a)
        if signed.size > unsigned.size { return signed }
        switch unsigned.size {
        case 1: return .int16
        case 2: return .int32
        default: return .int64
        }
    }
}

/// The type of an expression of `a` and `b`: a scalar (no axes) only decides the kind of number, not its size.
///
/// Source: `torch.result_type`.
func resultType(_ a: Tensor, _ b: Tensor) -> DType {
    let (x, y) = (a.dtype, b.dtype)
    if x == y { return x }
    if (a.rank == 0) == (b.rank == 0) { return .promoted(x, y) }
    let (array, scalar) = a.rank == 0 ? (y, x) : (x, y)
    return array.category >= scalar.category ? array : .promoted(array, scalar)
}

/// Both operands converted to the type of their expression.
@inline(__always)
func promoted(_ a: Tensor, _ b: Tensor) -> (Tensor, Tensor) {
    if a.dtype == b.dtype { return (a, b) }
    let dtype = resultType(a, b)
    return (a.to(dtype), b.to(dtype))
}

extension Tensor {
    /// This tensor, or its `float32` values when it holds integers: what functions with fractional results compute on.
    var floating: Tensor { dtype.isFloatingPoint ? self : to(.float32) }
}
