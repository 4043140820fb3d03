import Autograd
import TensorCore

/// A Swift number or nested arrays of them, `3`, `[1, 2]` or `[[3, 4], [7, 5]]`: what tensors are made from and turned into.
public protocol NestedNumbers {
    associatedtype Leaf: Scalar
    /// Lengths of the nested arrays, the outermost first. Throws `ShapeError` when they are not of equal lengths.
    func nestedShape() throws -> [Int]
    /// Appends the numbers in row-major order.
    func flatten(into elements: inout [Leaf])
    /// Builds the nesting of `shape` from row-major elements.
    static func nested(_ elements: ArraySlice<Leaf>, shape: ArraySlice<Int>) -> Self
}

extension NestedNumbers where Self == Leaf {
    public func nestedShape() -> [Int] { [] }
    public func flatten(into elements: inout [Leaf]) { elements.append(self) }
    public static func nested(_ elements: ArraySlice<Leaf>, shape: ArraySlice<Int>) -> Leaf {
        demand(shape.isEmpty, "array(as:): the nesting is not deep enough for the last axes, \(Array(shape))")
        return elements[elements.startIndex]
    }
}

extension Float: NestedNumbers {}
extension Double: NestedNumbers {}
extension Int: NestedNumbers {}
extension Bool: NestedNumbers {}

extension Array: NestedNumbers where Element: NestedNumbers {
    public typealias Leaf = Element.Leaf

    public func nestedShape() throws -> [Int] {
        let inner = try first?.nestedShape() ?? []
        for element in self where try element.nestedShape() != inner {
            throw ShapeError(
                "Tensor", "nested arrays have different lengths: \(inner) and \(try element.nestedShape())")
        }
        return [count] + inner
    }

    public func flatten(into elements: inout [Leaf]) { for element in self { element.flatten(into: &elements) } }

    public static func nested(_ elements: ArraySlice<Leaf>, shape: ArraySlice<Int>) -> [Element] {
        guard let length = shape.first else { mistake("array(as:): the nesting is deeper than the tensor has axes") }
        guard length > 0 else { return [] }
        let stride = elements.count / length
        return (0..<length).map { index in
            let start = elements.startIndex + index * stride
            return Element.nested(elements[start..<start + stride], shape: shape.dropFirst())
        }
    }
}

extension NDArray {
    /// An array of nested Swift numbers; numbers become `float32` and truth values `bool` unless `dtype` is given.
    ///
    /// Throws `ShapeError` when nested arrays have different lengths.
    public init<N: NestedNumbers>(nested numbers: N, dtype: DType? = nil) throws {
        var elements: [N.Leaf] = []
        let shape = try numbers.nestedShape()
        numbers.flatten(into: &elements)
        self = NDArray(elements, shape: shape).converted(to: dtype ?? (N.Leaf.dtype == .bool ? .bool : .float32))
    }
}

extension Tensor {
    /// A leaf from Swift numbers: `Tensor([[3, 4], [7, 5]])`.
    ///
    /// Numbers become `float32` as with `torch.Tensor`, truth values `bool`, unless `dtype` is given.
    public convenience init(_ numbers: some NestedNumbers, dtype: DType? = nil) {
        self.init(checked(try NDArray(nested: numbers, dtype: dtype)))
    }

    /// A `float32` leaf from Swift numbers, which requires gradients when asked to.
    public convenience init<N: NestedNumbers>(_ numbers: N, requiresGrad: Bool) where N.Leaf: NumericScalar {
        self.init(checked(try NDArray(nested: numbers)))
        _ = checked(try requiresGrad_(requiresGrad))
    }

    /// A leaf from Swift numbers. Throws `AutogradError` when integers or truth values are asked to require gradients.
    public convenience init(_ numbers: some NestedNumbers, dtype: DType, requiresGrad: Bool) throws {
        try self.init(NDArray(nested: numbers, dtype: dtype), requiresGrad: requiresGrad)
    }

    /// All zeros. Source: `torch.zeros`.
    public static func zeros(_ shape: [Int], dtype: DType = .float32, requiresGrad: Bool = false) -> Tensor {
        full(shape, 0, dtype: dtype, requiresGrad: requiresGrad)
    }
    public static func zeros(_ shape: Int..., dtype: DType = .float32, requiresGrad: Bool = false) -> Tensor {
        full(shape, 0, dtype: dtype, requiresGrad: requiresGrad)
    }

    /// All ones. Source: `torch.ones`.
    public static func ones(_ shape: [Int], dtype: DType = .float32, requiresGrad: Bool = false) -> Tensor {
        full(shape, 1, dtype: dtype, requiresGrad: requiresGrad)
    }
    public static func ones(_ shape: Int..., dtype: DType = .float32, requiresGrad: Bool = false) -> Tensor {
        full(shape, 1, dtype: dtype, requiresGrad: requiresGrad)
    }

    /// Every element is `value`. Source: `torch.full`.
    public static func full(
        _ shape: [Int], _ value: Double, dtype: DType = .float32, requiresGrad: Bool = false
    ) -> Tensor {
        leaf(NDArray.full(shape, value, dtype: dtype), requiresGrad)
    }

    private static func leaf(_ array: NDArray, _ requiresGrad: Bool) -> Tensor {
        let tensor = Tensor(array)
        if requiresGrad { _ = checked(try tensor.requiresGrad_()) }
        return tensor
    }

    /// Zeros of the shape and type of `other`. Source: `torch.zeros_like`.
    public static func zerosLike(_ other: Tensor) -> Tensor { zeros(other.shape, dtype: other.dtype) }

    /// Ones of the shape and type of `other`. Source: `torch.ones_like`.
    public static func onesLike(_ other: Tensor) -> Tensor { ones(other.shape, dtype: other.dtype) }

    /// `value` in the shape and type of `other`. Source: `torch.full_like`.
    public static func fullLike(_ other: Tensor, _ value: Double) -> Tensor {
        full(other.shape, value, dtype: other.dtype)
    }

    /// `start`, `start + step`, ... before `end`, as `int64`. Source: `torch.arange`.
    public static func arange(_ start: Int, _ end: Int, step: Int = 1) -> Tensor {
        Tensor(checked(try NDArray.arange(Double(start), Double(end), step: Double(step), dtype: .int64)))
    }
    public static func arange(_ end: Int) -> Tensor { arange(0, end) }

    /// `start`, `start + step`, ... before `end`. Source: `torch.arange`.
    public static func arange(_ start: Double, _ end: Double, step: Double = 1, dtype: DType = .float32) -> Tensor {
        Tensor(checked(try NDArray.arange(start, end, step: step, dtype: dtype)))
    }

    /// The identity matrix. Source: `torch.eye`.
    public static func eye(_ rows: Int, _ columns: Int? = nil, dtype: DType = .float32) -> Tensor {
        Tensor(checked(try NDArray.eye(rows, columns, dtype: dtype)))
    }

    /// Numbers from the normal distribution with mean 0 and variance 1: the same seed gives the same numbers.
    ///
    /// Source: `torch.randn`, whose numbers differ.
    public static func randn(
        _ shape: [Int], seed: UInt64, dtype: DType = .float32, requiresGrad: Bool = false
    ) -> Tensor {
        leaf(checked(try NDArray.normal(shape, seed: seed, dtype: dtype)), requiresGrad)
    }
    public static func randn(
        _ shape: Int..., seed: UInt64, dtype: DType = .float32, requiresGrad: Bool = false
    ) -> Tensor {
        randn(shape, seed: seed, dtype: dtype, requiresGrad: requiresGrad)
    }

    /// Numbers from the uniform distribution over [0, 1): the same seed gives the same numbers.
    ///
    /// Source: `torch.rand`, whose numbers differ.
    public static func rand(
        _ shape: [Int], seed: UInt64, dtype: DType = .float32, requiresGrad: Bool = false
    ) -> Tensor {
        leaf(checked(try NDArray.uniform(shape, seed: seed, dtype: dtype)), requiresGrad)
    }
    public static func rand(
        _ shape: Int..., seed: UInt64, dtype: DType = .float32, requiresGrad: Bool = false
    ) -> Tensor {
        rand(shape, seed: seed, dtype: dtype, requiresGrad: requiresGrad)
    }
}

// MARK: - Values as Swift arrays

extension Tensor {
    /// The elements as Swift numbers nested as the shape is: `t.array(as: [[Double]].self)`.
    ///
    /// The nesting must be as deep as the tensor has axes; elements are converted to the number's type.
    public func array<N: NestedNumbers>(as type: N.Type) -> N {
        let elements = array.converted(to: N.Leaf.dtype).elements(as: N.Leaf.self)
        return N.nested(elements[...], shape: shape[...])
    }

    /// The elements in row-major order.
    public func doubles() -> [Double] { array.doubles() }

    /// The elements of an integer or bool tensor in row-major order.
    public func integers() -> [Int] { array.integers() }
}
