import CKernels

/// Sizes of an array `[N, C, ...]` as `[batch, channels, inner]`.
private struct ChannelLayout {
    let batch: Int
    let channels: Int
    let inner: Int

    init(_ x: NDArray, _ operation: String, perChannel: [NDArray] = []) throws {
        try requireFloat(x, operation)
        guard x.rank >= 2 else { throw ShapeError(operation, "expected [N, C, ...], got \(x.shape)") }
        for array in perChannel {
            guard array.shape == [x.shape[1]], array.dtype == x.dtype else {
                throw ShapeError(
                    operation,
                    "expected [\(x.shape[1])] of \(x.dtype) per channel of \(x.shape), got \(array.shape) of "
                        + "\(array.dtype)")
            }
        }
        batch = x.shape[0]
        channels = x.shape[1]
        inner = product(x.shape.dropFirst(2))
    }
}

extension NDArray {
    /// Batch normalisation with given statistics: y = (x - mean) / sqrt(variance + epsilon) * scale + bias.
    ///
    /// x: `[N, C, ...]`; the rest `[C]`. ONNX BatchNormalization in inference, `torch.batch_norm(training=False)`.
    public func batchNormalized(
        scale: NDArray, bias: NDArray, mean: NDArray, variance: NDArray, epsilon: Double
    ) throws -> NDArray {
        if dtype.isHalf {
            return try throughFloat32 {
                try $0.batchNormalized(
                    scale: scale.converted(to: .float32), bias: bias.converted(to: .float32),
                    mean: mean.converted(to: .float32), variance: variance.converted(to: .float32), epsilon: epsilon)
            }
        }
        _ = try ChannelLayout(self, "BatchNormalization", perChannel: [scale, bias, mean, variance])
        let (scales, biases, means) = (scale.doubles(), bias.doubles(), mean.doubles())
        let factors = zip(scales, variance.doubles()).map { $0 / ($1 + epsilon).squareRoot() }
        let offsets = zip(zip(biases, means), factors).map { $0.0 - $0.1 * $1 }
        return try scaledByChannel(
            NDArray(factors).converted(to: dtype), NDArray(offsets).converted(to: dtype), "BatchNormalization")
    }

    /// y = x * factor[c] + offset[c]. x: `[N, C, ...]`; factor, offset: `[C]`.
    public func scaledByChannel(
        _ factor: NDArray, _ offset: NDArray, _ operation: String = "channel scaling"
    ) throws -> NDArray {
        let layout = try ChannelLayout(self, operation, perChannel: [factor, offset])
        return NDArray.produce(shape, dtype) { output in
            read { x in
                factor.read { factor in
                    offset.read { offset in
                        let (channels, inner) = (layout.channels, layout.inner)
                        parallelRange(layout.batch * channels, grain: grain(elementsPerUnit: inner)) { begin, end in
                            if dtype == .float32 {
                                ft_channel_affine_f32(
                                    channels, inner, x.floats, factor.floats, offset.floats, output.floats, begin, end)
                            } else {
                                ft_channel_affine_f64(
                                    channels, inner, x.doubles, factor.doubles, offset.doubles, output.doubles, begin,
                                    end)
                            }
                        }
                    }
                }
            }
        }
    }

    /// Mean and biased variance, divided by N * ..., of each channel of `[N, C, ...]`; each `[C]`.
    public func batchStatistics() throws -> (mean: NDArray, variance: NDArray) {
        let layout = try ChannelLayout(self, "BatchNormalization")
        guard layout.batch * layout.inner > 0 else {
            throw ShapeError("BatchNormalization", "no elements per channel, shape is \(shape)")
        }
        let mean = NDArray(uninitialized: [layout.channels], dtype: dtype)
        let variance = NDArray.produce([layout.channels], dtype) { variance in
            let mean = mean.storage.pointer
            read { x in
                let elements = 2 * layout.batch * layout.inner
                parallelRange(layout.channels, grain: grain(elementsPerUnit: elements)) { begin, end in
                    if dtype == .float32 {
                        ft_channel_statistics_f32(
                            layout.batch, layout.channels, layout.inner, x.floats, mean.floats, variance.floats, begin,
                            end)
                    } else {
                        ft_channel_statistics_f64(
                            layout.batch, layout.channels, layout.inner, x.doubles, mean.doubles, variance.doubles,
                            begin, end)
                    }
                }
            }
        }
        return (mean, variance)
    }

    /// Gradients of y = (x - mean) * invStd * scale + bias where mean and invStd are x's own statistics.
    ///
    /// With x̂ = (x - mean) * invStd and means over a channel's elements:
    /// gradBias = Σ g, gradScale = Σ g x̂, gradX = scale * invStd * (g - mean(g) - x̂ mean(g x̂)).
    /// x, gradOutput: `[N, C, ...]`; the rest `[C]`. Statistics and input gradient are computed in one go per channel.
    public static func batchNormTrainingGradient(
        x: NDArray, gradOutput: NDArray, mean: NDArray, invStd: NDArray, scale: NDArray
    ) throws -> (gradX: NDArray, gradScale: NDArray, gradBias: NDArray) {
        let operation = "BatchNormalization gradient"
        let layout = try ChannelLayout(x, operation, perChannel: [mean, invStd, scale])
        guard gradOutput.shape == x.shape, gradOutput.dtype == x.dtype, x.count > 0 else {
            throw ShapeError(operation, "expected \(x.shape) of \(x.dtype), got \(gradOutput.shape)")
        }
        let gradX = NDArray(uninitialized: x.shape, dtype: x.dtype)
        let gradScale = NDArray(uninitialized: [layout.channels], dtype: x.dtype)
        let gradBias = NDArray(uninitialized: [layout.channels], dtype: x.dtype)
        let outputs = (gradX.storage.pointer, gradScale.storage.pointer, gradBias.storage.pointer)
        withExtendedLifetime((x, gradOutput, mean, invStd, scale, gradX, gradScale, gradBias)) {
            let inputs = [x, gradOutput, mean, invStd, scale].map { $0.read { $0 } }
            let elements = 2 * layout.batch * layout.inner
            parallelRange(layout.channels, grain: grain(elementsPerUnit: elements)) { begin, end in
                if x.dtype == .float32 {
                    ft_batch_norm_gradient_f32(
                        layout.batch, layout.channels, layout.inner, inputs[0].floats, inputs[1].floats,
                        inputs[2].floats, inputs[3].floats, inputs[4].floats, outputs.0.floats, outputs.1.floats,
                        outputs.2.floats, begin, end)
                } else {
                    ft_batch_norm_gradient_f64(
                        layout.batch, layout.channels, layout.inner, inputs[0].doubles, inputs[1].doubles,
                        inputs[2].doubles, inputs[3].doubles, inputs[4].doubles, outputs.0.doubles, outputs.1.doubles,
                        outputs.2.doubles, begin, end)
                }
            }
        }
        return (gradX, gradScale, gradBias)
    }
}
