import CKernels

extension NDArray {
    /// Softmax e^x / Σ e^x along `axis`, or with `log` its logarithm. Overflow-free. ONNX Softmax, LogSoftmax 13...
    public func softmax(axis: Int, log: Bool = false) throws -> NDArray {
        let operation = log ? "LogSoftmax" : "Softmax"
        if dtype.isHalf { return try throughFloat32 { try $0.softmax(axis: axis, log: log) } }
        try requireFloat(self, operation)
        let axis = try requireAxis(axis, rank: rank, operation)
        let (outer, length, inner) = (product(shape[..<axis]), shape[axis], product(shape[(axis + 1)...]))
        return NDArray.produce(shape, dtype) { output in
            guard count > 0 else { return }
            read { x in
                parallelRange(outer, grain: grain(elementsPerUnit: 8 * length * inner)) { begin, end in
                    if dtype == .float32 {
                        ft_softmax_f32(log, x.floats, length, inner, output.floats, begin, end)
                    } else {
                        ft_softmax_f64(log, x.doubles, length, inner, output.doubles, begin, end)
                    }
                }
            }
        }
    }

    /// Gradient of `softmax` from its output y: y (g - Σ g y), or with `log` g - e^y Σ g.
    public static func softmaxGradient(
        output y: NDArray, gradOutput: NDArray, axis: Int, log: Bool = false
    ) throws -> NDArray {
        let operation = log ? "LogSoftmax gradient" : "Softmax gradient"
        guard y.shape == gradOutput.shape, y.dtype == gradOutput.dtype else {
            throw ShapeError(
                operation,
                "expected equal operands, got \(y.shape) of \(y.dtype) and \(gradOutput.shape) of \(gradOutput.dtype)")
        }
        try requireFloat(y, operation)
        let axis = try requireAxis(axis, rank: y.rank, operation)
        let shape = y.shape
        let (outer, length, inner) = (product(shape[..<axis]), shape[axis], product(shape[(axis + 1)...]))
        return produce(shape, y.dtype) { output in
            guard y.count > 0 else { return }
            y.read { y in
                gradOutput.read { g in
                    parallelRange(outer, grain: grain(elementsPerUnit: 8 * length * inner)) { begin, end in
                        if gradOutput.dtype == .float32 {
                            ft_softmax_gradient_f32(
                                log, y.floats, g.floats, length, inner, output.floats, begin, end)
                        } else {
                            ft_softmax_gradient_f64(
                                log, y.doubles, g.doubles, length, inner, output.doubles, begin, end)
                        }
                    }
                }
            }
        }
    }
}
