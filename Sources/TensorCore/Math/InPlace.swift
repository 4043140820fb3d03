import CKernels

extension NDArray {
    /// self += scale * other, of equal shape and type; storage that is shared is copied first.
    public mutating func addInPlace(_ other: NDArray, scale: Double = 1) throws {
        guard other.shape == shape, other.dtype == dtype else {
            throw ShapeError(
                "in-place add", "expected \(shape) of \(dtype), got \(other.shape) of \(other.dtype)")
        }
        guard dtype == .float32 || dtype == .float64 else {
            let scaled =
                scale == 1 ? other : try NDArray.binary(.mul, other, NDArray(scalar: scale, dtype: dtype))
            self = try NDArray.binary(.add, self, scaled)
            return
        }
        let (count, isFloat) = (count, dtype == .float32)
        write { y in
            other.read { x in
                parallelRange(count, grain: serialElements) { begin, end in
                    if isFloat {
                        ft_axpy_f32(Float(scale), x.floats + begin, y.floats + begin, end - begin)
                    } else {
                        ft_axpy_f64(scale, x.doubles + begin, y.doubles + begin, end - begin)
                    }
                }
            }
        }
    }

    /// self *= scale; storage that is shared is copied first. For integers the scale is converted to their type.
    public mutating func scaleInPlace(_ scale: Double) {
        guard dtype == .float32 || dtype == .float64 else {
            let factor = NDArray(scalar: scale, dtype: dtype.isHalf ? .float32 : dtype)
            let values = dtype.isHalf ? converted(to: .float32) : self
            if let product = try? NDArray.binary(.mul, values, factor) { self = product.converted(to: dtype) }
            return
        }
        let kernel = dtype.kernel
        let (count, size) = (count, dtype.size)
        let factor = NDArray(scalar: scale, dtype: dtype)
        write { y in
            factor.read { factor in
                parallelRange(count, grain: serialElements) { begin, end in
                    let place = y + begin * size
                    _ = ft_binary(kernel, FT_MUL, FT_SECOND_SCALAR, place, factor, place, end - begin)
                }
            }
        }
    }

    /// True when no element is infinite or NaN; always for integers and `bool`.
    public func allFinite() -> Bool {
        switch dtype {
        case .float32: return read { ft_all_finite_f32($0.floats, count) }
        case .float64: return read { ft_all_finite_f64($0.doubles, count) }
        case .float16, .bfloat16: return converted(to: .float32).allFinite()
        default: return true
        }
    }

    /// Σ x² over all elements, accumulated in `float64`.
    public func l2NormSquared() -> Double {
        let values = dtype == .float32 || dtype == .float64 ? self : converted(to: .float64)
        guard count > 0 else { return 0 }
        let pieces = (count + serialElements - 1) / serialElements
        var partial = [Double](repeating: 0, count: pieces)
        partial.withUnsafeMutableBufferPointer { partial in
            let partial = UnsafeMutableRawPointer(partial.baseAddress ?? nil)
            values.read { x in
                parallelRange(pieces, grain: 1) { begin, end in
                    guard let partial else { return }
                    for piece in begin..<end {
                        let start = piece * serialElements
                        let length = Swift.min(serialElements, count - start)
                        if values.dtype == .float32 {
                            ft_reduce_f32_f64(
                                FT_REDUCE_SUM_OF_SQUARES, x.floats + start, length, 1, partial.doubles + piece, 0, 1)
                        } else {
                            _ = ft_reduce(
                                FT_FLOAT64, FT_REDUCE_SUM_OF_SQUARES, x.doubles + start, length, 1, 1,
                                partial.doubles + piece, 0, 1)
                        }
                    }
                }
            }
        }
        return partial.reduce(0, +)
    }
}
