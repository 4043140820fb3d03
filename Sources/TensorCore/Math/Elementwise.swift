import CKernels

/// A function of one number. Raw values are those of the C kernels.
public enum UnaryFunction: Int32, Sendable, CaseIterable {
    case neg, abs, sign, exp, log, sqrt, rsqrt, reciprocal, square, sin, cos, tanh, sigmoid, relu, erf
    case ceil, floor
    /// Nearest integer, ties to even.
    case round
    /// log(1 + e^x).
    case softplus
    case tan, asin, acos, atan, sinh, cosh, asinh, acosh, atanh
    /// e^x - 1, accurate near 0.
    case expm1
    /// log(1 + x), accurate near 0.
    case log1p
}

/// A function of two numbers. Raw values are those of the C kernels.
public enum BinaryFunction: Int32, Sendable, CaseIterable {
    case add, sub, mul
    /// Integers divide towards zero; division of an integer by zero gives 0.
    case div
    case pow
    /// NaN if either is NaN.
    case max
    case min
    /// Remainder with the divisor's sign, as Python's `%`; 0 for integers divided by zero.
    case mod
    /// Remainder with the dividend's sign, as C's `fmod`.
    case fmod
}

/// An order relation. Raw values are those of the C kernels.
public enum Comparison: Int32, Sendable, CaseIterable {
    case equal, notEqual, less, lessOrEqual, greater, greaterOrEqual
}

/// A function of two truth values.
public enum LogicalFunction: Sendable, CaseIterable {
    case and, or, xor
}

extension NDArray {
    /// y = f(x), element by element. 16-bit floats are computed in `float32`.
    ///
    /// - Throws: `ShapeError` for a function that has no meaning for the element type: integers know `neg`, `abs`,
    ///   `sign`, `square`, `relu` and the roundings.
    public func map(_ function: UnaryFunction) throws -> NDArray {
        if dtype.isHalf { return try throughFloat32 { try $0.map(function) } }
        let kernel = ft_unary_function(rawValue: UInt32(function.rawValue))
        // A kernel that does not exist says so for no elements too.
        guard read({ ft_unary(dtype.kernel, kernel, $0, UnsafeMutableRawPointer(mutating: $0), 0) }) else {
            throw ShapeError("\(function)", "is not defined for \(dtype)")
        }
        return NDArray.produce(shape, dtype) { output in
            read { input in
                parallelRange(count, grain: serialElements) { begin, end in
                    let offset = begin * dtype.size
                    _ = ft_unary(dtype.kernel, kernel, input + offset, output + offset, end - begin)
                }
            }
        }
    }

    /// f(a, b) with NumPy's broadcasting; both of one element type.
    ///
    /// Integers wrap. For `bool`, `add` and `max` are "or", `mul` and `min` are "and".
    /// - Throws: `ShapeError` when shapes do not broadcast or element types do not fit.
    public static func binary(_ function: BinaryFunction, _ a: NDArray, _ b: NDArray) throws -> NDArray {
        let dtype = a.dtype
        guard dtype == b.dtype else {
            throw ShapeError("\(function)", "expected operands of one type, got \(dtype) and \(b.dtype)")
        }
        if dtype.isHalf { return try a.throughFloat32 { try binary(function, $0, b.converted(to: .float32)) } }
        var kernel = ft_binary_function(rawValue: UInt32(function.rawValue))
        if dtype == .bool { kernel = try boolKernel(function) }
        guard let operands = operandKinds(a, b) else {
            return try broadcasting("\(function)", a, b, to: dtype) { layout, x, y, output, begin, end in
                _ = ft_binary_rows(dtype.kernel, kernel, layout, x, y, output, begin, end)
            }
        }
        return elementwise(a, b, operands, to: dtype) { x, y, output, count in
            _ = ft_binary(dtype.kernel, kernel, operands, x, y, output, count)
        }
    }

    /// a ? b with NumPy's broadcasting, as `bool`; both of one element type. Comparisons with NaN are false, but
    /// `notEqual`.
    public static func compare(_ comparison: Comparison, _ a: NDArray, _ b: NDArray) throws -> NDArray {
        let dtype = a.dtype
        guard dtype == b.dtype else {
            throw ShapeError("\(comparison)", "expected operands of one type, got \(dtype) and \(b.dtype)")
        }
        if dtype.isHalf { return try compare(comparison, a.converted(to: .float32), b.converted(to: .float32)) }
        let kernel = ft_comparison(rawValue: UInt32(comparison.rawValue))
        guard let operands = operandKinds(a, b) else {
            return try broadcasting("\(comparison)", a, b, to: .bool) { layout, x, y, output, begin, end in
                _ = ft_compare_rows(dtype.kernel, kernel, layout, x, y, output, begin, end)
            }
        }
        return elementwise(a, b, operands, to: .bool) { x, y, output, count in
            _ = ft_compare(dtype.kernel, kernel, operands, x, y, output, count)
        }
    }

    /// f(a, b) of `bool` arrays with NumPy's broadcasting.
    public static func logical(_ function: LogicalFunction, _ a: NDArray, _ b: NDArray) throws -> NDArray {
        guard a.dtype == .bool, b.dtype == .bool else {
            throw ShapeError("\(function)", "expected bool operands, got \(a.dtype) and \(b.dtype)")
        }
        switch function {
        case .and: return try binary(.min, a, b)
        case .or: return try binary(.max, a, b)
        case .xor: return try compare(.notEqual, a, b)
        }
    }

    /// The opposite of every element of a `bool` array.
    public func logicalNot() throws -> NDArray {
        guard dtype == .bool else { throw ShapeError("not", "expected bool, got \(dtype)") }
        return try NDArray.compare(.equal, self, NDArray(scalar: false))
    }

    /// `a` where `condition` holds, `b` elsewhere; all three broadcast. ONNX Where, `torch.where`.
    public static func select(_ condition: NDArray, _ a: NDArray, _ b: NDArray) throws -> NDArray {
        guard condition.dtype == .bool else {
            throw ShapeError("Where", "expected a bool condition, got \(condition.dtype)")
        }
        guard a.dtype == b.dtype else {
            throw ShapeError("Where", "expected operands of one type, got \(a.dtype) and \(b.dtype)")
        }
        guard let inner = broadcastShape(a.shape, b.shape), let shape = broadcastShape(condition.shape, inner) else {
            throw ShapeError("Where", "shapes \(condition.shape), \(a.shape) and \(b.shape) do not broadcast")
        }
        let size = Int32(a.dtype.size)
        return try produce(shape, a.dtype, "Where") { output in
            let layout = try ft_layout(broadcasting: condition, a, b, to: shape, "Where")
            guard !shape.contains(0) else { return }
            condition.read { condition in
                a.read { a in
                    b.read { b in
                        let mask = condition.assumingMemoryBound(to: UInt8.self)
                        walkRows(layout) { layout, begin, end in
                            ft_select_rows(size, layout, mask, a, b, output, begin, end)
                        }
                    }
                }
            }
        }
    }

    /// Every element limited to `min ... max`; NaN stays NaN. With `min` above `max` every element is `max`.
    public func clamped(min: Double?, max: Double?) throws -> NDArray {
        if dtype.isHalf { return try throughFloat32 { try $0.clamped(min: min, max: max) } }
        switch dtype {
        case .float32:
            return mapped { ft_clamp_f32(Float(min ?? -.infinity), Float(max ?? .infinity), $0.floats, $1.floats, $2) }
        case .float64:
            return mapped { ft_clamp_f64(min ?? -.infinity, max ?? .infinity, $0.doubles, $1.doubles, $2) }
        case .bool:
            throw ShapeError("clamp", "is not defined for bool")
        default:
            let raised = try min.map { try NDArray.binary(.max, self, NDArray(scalar: $0, dtype: dtype)) } ?? self
            return try max.map { try NDArray.binary(.min, raised, NDArray(scalar: $0, dtype: dtype)) } ?? raised
        }
    }
}

// MARK: - Shared paths

extension NDArray {
    /// Calls `kernel(input, output, count)` on pieces of the elements; the result has this array's shape and type.
    @inline(__always)
    func mapped(_ kernel: (UnsafeRawPointer, UnsafeMutableRawPointer, Int) -> Void) -> NDArray {
        NDArray.produce(shape, dtype) { output in
            read { input in
                parallelRange(count, grain: serialElements) { begin, end in
                    kernel(input + begin * dtype.size, output + begin * dtype.size, end - begin)
                }
            }
        }
    }

    /// How two arrays meet without broadcasting by axes; nil when they need it.
    @inline(__always)
    private static func operandKinds(_ a: NDArray, _ b: NDArray) -> ft_operands? {
        if a.shape == b.shape { return FT_BOTH_VECTORS }
        if b.count == 1 && b.rank <= a.rank { return FT_SECOND_SCALAR }
        if a.count == 1 && a.rank <= b.rank { return FT_FIRST_SCALAR }
        return nil
    }

    @inline(__always)
    private static func elementwise(
        _ a: NDArray, _ b: NDArray, _ operands: ft_operands, to result: DType,
        _ kernel: (UnsafeRawPointer, UnsafeRawPointer, UnsafeMutableRawPointer, Int) -> Void
    ) -> NDArray {
        let size = a.dtype.size
        let aStep = operands == FT_FIRST_SCALAR ? 0 : size
        let bStep = operands == FT_SECOND_SCALAR ? 0 : size
        let shape = operands == FT_FIRST_SCALAR ? b.shape : a.shape
        return produce(shape, result) { output in
            a.read { x in
                b.read { y in
                    let count = operands == FT_FIRST_SCALAR ? b.count : a.count
                    parallelRange(count, grain: serialElements) { begin, end in
                        kernel(x + begin * aStep, y + begin * bStep, output + begin * result.size, end - begin)
                    }
                }
            }
        }
    }

    private static func broadcasting(
        _ operation: @autoclosure () -> String, _ a: NDArray, _ b: NDArray, to result: DType,
        _ kernel: (UnsafePointer<ft_layout>, UnsafeRawPointer, UnsafeRawPointer, UnsafeMutableRawPointer, Int, Int) ->
            Void
    ) throws -> NDArray {
        guard let shape = broadcastShape(a.shape, b.shape) else {
            throw ShapeError(operation(), "shapes \(a.shape) and \(b.shape) do not broadcast")
        }
        return try produce(shape, result, operation()) { output in
            let layout = try ft_layout(broadcasting: a, b, to: shape, operation())
            guard !shape.contains(0) else { return }
            a.read { x in
                b.read { y in
                    walkRows(layout) { layout, begin, end in kernel(layout, x, y, output, begin, end) }
                }
            }
        }
    }

    /// Calls `body(layout, begin, end)` on pieces of the rows.
    private static func walkRows(_ layout: ft_layout, _ body: (UnsafePointer<ft_layout>, Int, Int) -> Void) {
        withUnsafePointer(to: layout) { pointer in
            parallelRange(layout.row_count, grain: grain(elementsPerUnit: layout.row_length)) { begin, end in
                body(pointer, begin, end)
            }
        }
    }

    private static func boolKernel(_ function: BinaryFunction) throws -> ft_binary_function {
        switch function {
        case .add, .max: return FT_MAX
        case .mul, .min: return FT_MIN
        default: throw ShapeError("\(function)", "is not defined for bool")
        }
    }
}
