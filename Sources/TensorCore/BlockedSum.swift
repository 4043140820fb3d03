import CKernels

/// What stands between convolutions while training, on blocked images: y = relu(a + b), where each of one or two operands
/// is an array as it is or x · factor + offset per channel, as batch normalisation is once its statistics are known.
///
/// Arrays per channel are filled up to whole blocks of 16.
public struct BlockedSum {
    /// Numbers per channel of one operand.
    public struct Channels: Sendable {
        public var factor: [Float]
        public var offset: [Float]
        /// What x is measured from in gradients.
        public var mean: [Float]

        public init(factor: [Float], offset: [Float], mean: [Float]) {
            (self.factor, self.offset, self.mean) = (factor, offset, mean)
        }
    }

    /// One of the terms, with what normalises it.
    public struct Operand {
        public var x: UnsafePointer<Float>
        public var channels: Channels?
        public init(x: UnsafePointer<Float>, channels: Channels? = nil) { (self.x, self.channels) = (x, channels) }
    }

    /// Sums over images and positions of the gradient g' and of g' · (x - mean), per channel.
    public struct Totals {
        public var gradient: [Float]
        public var product: [Float]
    }

    public var operands: [Operand]
    public var isRectified: Bool
    public let images: Int
    public let channels: Int
    public let positions: Int

    public init(_ operands: [Operand], isRectified: Bool, images: Int, channels: Int, positions: Int) {
        precondition((1...2).contains(operands.count), "\(operands.count) operands")
        (self.operands, self.isRectified) = (operands, isRectified)
        (self.images, self.channels, self.positions) = (images, channels, positions)
    }

    public func evaluate(into y: UnsafeMutablePointer<Float>) {
        withKernelSum { ft_affine_sum_f32(&$0, images, channels, positions, y, ft_get_num_threads()) }
    }

    /// Makes g zero where the sum is not positive, in place.
    public func maskGradient(_ g: UnsafeMutablePointer<Float>) {
        withKernelSum {
            ft_affine_gradient_sums_f32(
                &$0, g, true, nil, images, channels, positions, nil, nil, nil, ft_get_num_threads())
        }
    }

    /// Sums for the first operand, where g' is g where the sum is positive; with `masking` g becomes g'.
    public func gradientTotals(_ g: UnsafeMutablePointer<Float>, masking: Bool) -> Totals {
        var gradient = [Float](repeating: 0, count: ImageLayout.wholeBlocks(channels)), product = gradient
        let mean = operands[0].channels?.mean ?? gradient
        withKernelSum { sum in
            Scratch.withBytes(ft_affine_workspace_f32(images, channels)) { scratch in
                ft_affine_gradient_sums_f32(
                    &sum, g, masking, mean, images, channels, positions, &gradient, &product, scratch,
                    ft_get_num_threads())
            }
        }
        return Totals(gradient: gradient, product: product)
    }

    /// x ← factor · (g' - shift - (x - mean) · slope): the gradient of the first operand's x, where x was.
    public func gradient(
        _ g: UnsafePointer<Float>, shift: [Float], slope: [Float], into x: UnsafeMutablePointer<Float>
    ) {
        let mean = operands[0].channels?.mean ?? [Float](repeating: 0, count: ImageLayout.wholeBlocks(channels))
        withKernelSum {
            ft_affine_gradient_f32(
                &$0, g, mean, shift, slope, images, channels, positions, x, ft_get_num_threads())
        }
    }

    private func withKernelSum(_ body: (inout ft_affine_sum) -> Void) {
        let second = operands.count > 1 ? operands[1] : nil
        let empty: [Float] = []
        (operands[0].channels?.factor ?? empty).withUnsafeBufferPointer { factor0 in
            (operands[0].channels?.offset ?? empty).withUnsafeBufferPointer { offset0 in
                (second?.channels?.factor ?? empty).withUnsafeBufferPointer { factor1 in
                    (second?.channels?.offset ?? empty).withUnsafeBufferPointer { offset1 in
                        func given(_ numbers: UnsafeBufferPointer<Float>) -> UnsafePointer<Float>? {
                            numbers.isEmpty ? nil : numbers.baseAddress
                        }
                        var sum = ft_affine_sum()
                        sum.operand.0 = ft_affine_operand(
                            x: operands[0].x, factor: given(factor0), offset: given(offset0))
                        sum.operand.1 = ft_affine_operand(x: second?.x, factor: given(factor1), offset: given(offset1))
                        sum.relu = isRectified
                        body(&sum)
                    }
                }
            }
        }
    }
}

/// Mean and biased variance of each channel of blocked images, filled up to whole blocks of 16.
public func blockedMoments(
    _ x: UnsafePointer<Float>, images: Int, channels: Int, positions: Int
) -> (mean: [Float], variance: [Float]) {
    let padded = ImageLayout.wholeBlocks(channels)
    var (mean, variance) = ([Float](repeating: 0, count: padded), [Float](repeating: 0, count: padded))
    Scratch.withBytes(ft_affine_workspace_f32(images, channels)) { scratch in
        ft_channel_moments_blocked_f32(
            x, images, channels, positions, &mean, &variance, scratch, ft_get_num_threads())
    }
    return (mean, variance)
}

/// The gradient of `globalAverageBlocked`: g `[images, channels]` to blocked images.
public func globalAverageGradientBlocked(
    _ g: UnsafePointer<Float>, images: Int, channels: Int, positions: Int, into x: UnsafeMutablePointer<Float>
) {
    ft_global_average_gradient_blocked_f32(g, images, channels, positions, x, ft_get_num_threads())
}
