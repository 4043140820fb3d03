import CKernels

extension NDArray {
    /// Layer normalisation over the axes from `axis` on: y = (x - mean) * invStdDev * scale + bias.
    ///
    /// scale, bias: shapes that broadcast to `x.shape[axis...]`. mean and invStdDev have 1 in place of the normalised
    /// axes. ONNX LayerNormalization 17, `torch.layer_norm`.
    public func layerNormalized(
        axis: Int, scale: NDArray, bias: NDArray?, epsilon: Double
    ) throws -> (output: NDArray, mean: NDArray, invStdDev: NDArray) {
        let operation = "LayerNormalization"
        if dtype.isHalf {
            let (y, mean, inverse) = try converted(to: .float32).layerNormalized(
                axis: axis, scale: scale.converted(to: .float32), bias: bias?.converted(to: .float32), epsilon: epsilon)
            return (y.converted(to: dtype), mean, inverse)
        }
        let layout = try RowLayout(self, axis: axis, operation)
        let scale = try layout.expanded(scale, self, operation)
        let bias = try bias.map { try layout.expanded($0, self, operation) }
        let mean = try NDArray(result: layout.statisticsShape, dtype, operation)
        let inverse = try NDArray(result: layout.statisticsShape, dtype, operation)
        let output = NDArray.produce(shape, dtype) { output in
            withExtendedLifetime((self, scale, bias, mean, inverse)) {
                let (x, scale, bias) = (read { $0 }, scale.read { $0 }, bias?.read { $0 })
                let (mean, inverse) = (mean.storage.pointer, inverse.storage.pointer)
                parallelRange(layout.rows, grain: grain(elementsPerUnit: 2 * layout.width)) { begin, end in
                    if dtype == .float32 {
                        ft_layer_norm_f32(
                            layout.width, Float(epsilon), x.floats, scale.floats, bias?.floats, output.floats,
                            mean.floats, inverse.floats, begin, end)
                    } else {
                        ft_layer_norm_f64(
                            layout.width, epsilon, x.doubles, scale.doubles, bias?.doubles, output.doubles,
                            mean.doubles, inverse.doubles, begin, end)
                    }
                }
            }
        }
        return (output, mean, inverse)
    }

    /// Gradients of `layerNormalized`, with mean and invStdDev from it.
    ///
    /// With x̂ = (x - mean) * invStdDev, h = g * scale and means over a row: gradX = invStdDev * (h - mean(h) - x̂ mean(h x̂)),
    /// gradScale = Σ g x̂, gradBias = Σ g over rows, summed to `scale`'s shape.
    public static func layerNormGradient(
        x: NDArray, gradOutput: NDArray, axis: Int, mean: NDArray, invStdDev: NDArray, scale: NDArray
    ) throws -> (gradX: NDArray, gradScale: NDArray, gradBias: NDArray) {
        let operation = "LayerNormalization gradient"
        let layout = try RowLayout(x, axis: axis, operation)
        guard gradOutput.shape == x.shape, gradOutput.dtype == x.dtype, mean.shape == layout.statisticsShape,
            invStdDev.shape == layout.statisticsShape, mean.dtype == x.dtype, invStdDev.dtype == x.dtype
        else {
            throw ShapeError(
                operation,
                "expected \(x.shape) and statistics \(layout.statisticsShape) of \(x.dtype), got \(gradOutput.shape), "
                    + "\(mean.shape) and \(invStdDev.shape)")
        }
        let wide = try layout.expanded(scale, x, operation)
        let gradX = produce(x.shape, x.dtype) { output in
            withExtendedLifetime((x, gradOutput, mean, invStdDev, wide)) {
                let (source, g, scale) = (x.read { $0 }, gradOutput.read { $0 }, wide.read { $0 })
                let (mean, inverse) = (mean.read { $0 }, invStdDev.read { $0 })
                parallelRange(layout.rows, grain: grain(elementsPerUnit: 2 * layout.width)) { begin, end in
                    if x.dtype == .float32 {
                        ft_layer_norm_gradient_f32(
                            layout.width, source.floats, g.floats, mean.floats, inverse.floats, scale.floats,
                            output.floats, begin, end)
                    } else {
                        ft_layer_norm_gradient_f64(
                            layout.width, source.doubles, g.doubles, mean.doubles, inverse.doubles, scale.doubles,
                            output.doubles, begin, end)
                    }
                }
            }
        }
        var gradScale = NDArray(uninitialized: layout.normalizedShape, dtype: x.dtype)
        var gradBias = gradScale
        gradScale.write { scale in
            gradBias.write { bias in
                withExtendedLifetime((x, gradOutput, mean, invStdDev)) {
                    let (source, g, mean, inverse) = (
                        x.read { $0 }, gradOutput.read { $0 }, mean.read { $0 }, invStdDev.read { $0 }
                    )
                    parallelRange(layout.width, grain: Swift.max(64, grain(elementsPerUnit: layout.rows))) {
                        begin, end in
                        if x.dtype == .float32 {
                            ft_layer_norm_parameter_gradient_f32(
                                layout.rows, layout.width, source.floats, g.floats, mean.floats, inverse.floats,
                                scale.floats, bias.floats, begin, end)
                        } else {
                            ft_layer_norm_parameter_gradient_f64(
                                layout.rows, layout.width, source.doubles, g.doubles, mean.doubles, inverse.doubles,
                                scale.doubles, bias.doubles, begin, end)
                        }
                    }
                }
            }
        }
        return (gradX, try gradScale.sumToShape(scale.shape), try gradBias.sumToShape(scale.shape))
    }

    /// Local response normalisation across channels: y = x / (bias + alpha / size * Σ x²)^beta.
    ///
    /// x: `[N, C, ...]`; the sum is over `size` channels around each one. ONNX LRN, `torch.local_response_norm`.
    public func localResponseNormalized(size: Int, alpha: Double, beta: Double, bias: Double) throws -> NDArray {
        if dtype.isHalf {
            return try throughFloat32 {
                try $0.localResponseNormalized(size: size, alpha: alpha, beta: beta, bias: bias)
            }
        }
        try requireFloat(self, "LRN")
        guard rank >= 2, size > 0 else {
            throw ShapeError("LRN", "expected [N, C, ...] and a positive size, got \(shape) and \(size)")
        }
        let (channels, inner) = (shape[1], product(shape.dropFirst(2)))
        return NDArray.produce(shape, dtype) { output in
            read { x in
                parallelRange(shape[0], grain: grain(elementsPerUnit: 8 * channels * inner)) { begin, end in
                    if dtype == .float32 {
                        ft_local_response_norm_f32(
                            channels, inner, size, Float(alpha), Float(beta), Float(bias), x.floats, output.floats,
                            begin, end)
                    } else {
                        ft_local_response_norm_f64(
                            channels, inner, size, alpha, beta, bias, x.doubles, output.doubles, begin, end)
                    }
                }
            }
        }
    }
}

/// An array as rows of the axes from `axis` on.
private struct RowLayout {
    let rows: Int
    let width: Int
    let normalizedShape: [Int]
    let statisticsShape: [Int]

    init(_ x: NDArray, axis: Int, _ operation: String) throws {
        try requireFloat(x, operation)
        let axis = try requireAxis(axis, rank: x.rank, operation)
        rows = product(x.shape[..<axis])
        normalizedShape = Array(x.shape[axis...])
        width = product(normalizedShape)
        statisticsShape = Array(x.shape[..<axis]) + [Int](repeating: 1, count: normalizedShape.count)
    }

    /// A scale or bias stretched to one number per element of a row.
    func expanded(_ array: NDArray, _ x: NDArray, _ operation: String) throws -> NDArray {
        guard array.dtype == x.dtype, broadcastShape(array.shape, normalizedShape) == normalizedShape else {
            throw ShapeError(
                operation,
                "expected scale and bias \(normalizedShape) of \(x.dtype), got \(array.shape) of \(array.dtype)")
        }
        return try array.broadcast(to: normalizedShape)
    }
}
