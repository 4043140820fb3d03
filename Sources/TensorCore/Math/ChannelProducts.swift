import CKernels

extension NDArray {
    /// Sum of a · b over everything but channels. a, b: `[N, C, ...]`; result: `[C]`.
    public static func channelDot(_ a: NDArray, _ b: NDArray) throws -> NDArray {
        guard a.rank >= 2 else { throw ShapeError("channel dot", "expected [N, C, ...], got \(a.shape)") }
        let zero = NDArray.zeros([a.shape[1]], dtype: a.dtype)
        let one = NDArray.ones([a.shape[1]], dtype: a.dtype)
        return try batchNormParameterGradient(x: a, gradOutput: b, mean: zero, invStd: one).gradScale
    }

    /// Gradients of y = (x - mean) * invStd * scale + bias by scale and bias: Σ g (x - mean) * invStd and Σ g.
    ///
    /// x, gradOutput: `[N, C, ...]`; the rest `[C]`.
    public static func batchNormParameterGradient(
        x: NDArray, gradOutput: NDArray, mean: NDArray, invStd: NDArray
    ) throws -> (gradScale: NDArray, gradBias: NDArray) {
        let operation = "BatchNormalization gradient"
        try requireFloat(x, operation)
        guard x.rank >= 2, gradOutput.shape == x.shape, gradOutput.dtype == x.dtype,
            [mean, invStd].allSatisfy({ $0.shape == [x.shape[1]] && $0.dtype == x.dtype })
        else {
            throw ShapeError(
                operation, "expected \(x.shape) of \(x.dtype), got \(gradOutput.shape) of \(gradOutput.dtype)")
        }
        let (batch, channels, inner) = (x.shape[0], x.shape[1], product(x.shape.dropFirst(2)))
        let gradBias = NDArray(uninitialized: [channels], dtype: x.dtype)
        let sums = gradBias.storage.pointer
        let gradScale = NDArray.produce([channels], x.dtype) { output in
            // The input gradient is not asked for, so that the scale is never read: any array of its size does.
            withExtendedLifetime((x, gradOutput, mean, invStd, gradBias)) {
                let inputs = [x, gradOutput, mean, invStd].map { $0.read { $0 } }
                parallelRange(channels, grain: grain(elementsPerUnit: 2 * batch * inner)) { begin, end in
                    if x.dtype == .float32 {
                        ft_batch_norm_gradient_f32(
                            batch, channels, inner, inputs[0].floats, inputs[1].floats, inputs[2].floats,
                            inputs[3].floats, inputs[3].floats, nil, output.floats, sums.floats, begin, end)
                    } else {
                        ft_batch_norm_gradient_f64(
                            batch, channels, inner, inputs[0].doubles, inputs[1].doubles, inputs[2].doubles,
                            inputs[3].doubles, inputs[3].doubles, nil, output.doubles, sums.doubles, begin, end)
                    }
                }
            }
        }
        return (gradScale, gradBias)
    }
}
