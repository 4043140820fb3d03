import CKernels

extension NDArray {
    /// y_i = x_0 + ... + x_i along `axis`, which is not negative; without x_i itself when `exclusive`, and from the end when
    /// `reverse`. 16-bit floats are added up in `float32`, integers wrap. ONNX CumSum.
    ///
    /// - Throws: `ShapeError` for `bool`.
    public func cumulativeSum(axis: Int, exclusive: Bool = false, reverse: Bool = false) throws -> NDArray {
        if dtype.isHalf {
            return try throughFloat32 { try $0.cumulativeSum(axis: axis, exclusive: exclusive, reverse: reverse) }
        }
        guard dtype != .bool else { throw ShapeError("CumSum", "is not defined for bool") }
        guard count > 0 else { return self }
        let length = shape[axis], inner = product(shape[(axis + 1)...])
        let step = inner * dtype.size
        return NDArray.produce(shape, dtype) { output in
            read { input in
                parallelRange(count / (length * inner), grain: grain(elementsPerUnit: length * inner)) { begin, end in
                    for outer in begin..<end {
                        let start = (outer * length + (reverse ? length - 1 : 0)) * step
                        var (x, y) = (input + start, output + start)
                        if exclusive {
                            y.initializeMemory(as: UInt8.self, repeating: 0, count: step)
                        } else {
                            y.copyMemory(from: x, byteCount: step)
                        }
                        for _ in 1..<length {
                            let (previous, sum) = (x, y)
                            x += reverse ? -step : step
                            y += reverse ? -step : step
                            _ = ft_binary(
                                dtype.kernel, FT_ADD, FT_BOTH_VECTORS, sum, exclusive ? previous : x, y, inner)
                        }
                    }
                }
            }
        }
    }
}
