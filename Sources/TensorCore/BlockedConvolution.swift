import CKernels

/// A convolution of blocked images whose weights change from step to step, with its gradients; `float32`.
///
/// Weights are rearranged for each call. Addresses are those of whole batches, as `inputShape` and `outputShape` say.
public struct BlockedConvolution: Sendable {
    public let geometry: ConvolutionGeometry
    /// `[N, C, H, W]`
    public let inputShape: [Int]
    /// `[N, M, H', W']`
    public let outputShape: [Int]
    /// `[M, C, kernelH, kernelW]`
    public let weightShape: [Int]
    private let shape: ft_conv_shape

    /// - Returns: nil for groups, other than two spatial axes, or more kernel elements than the blocked kernels take.
    /// - Throws: `ShapeError` when shapes do not fit.
    public init?(geometry: ConvolutionGeometry, inputShape: [Int], weightShape: [Int]) throws {
        guard geometry.groups == 1, geometry.spatialRank == 2, weightShape.count == 4,
            weightShape[2] * weightShape[3] <= Int(FT_MAX_BLOCKED_TAPS)
        else { return nil }
        self.geometry = geometry
        self.inputShape = inputShape
        self.weightShape = weightShape
        outputShape = try geometry.outputShape(input: inputShape, weight: weightShape)
        shape = try geometry.kernelShape(input: inputShape, weight: weightShape)
    }

    /// Whether planar images are the better input: few channels would be mostly filling.
    public var prefersPlanarInput: Bool { choice(.planar) == FT_CONV_FEW_CHANNELS }

    /// Name of the forward algorithm, for people.
    public func algorithm(input layout: ImageLayout) -> String {
        String(cString: ft_conv_algorithm_name(choice(layout)))
    }

    private func choice(_ layout: ImageLayout) -> ft_conv_algorithm {
        var shape = shape
        return ft_conv_choose_blocked(&shape, layout == .blocked)
    }

    /// y = conv(x, weight), blocked.
    public func forward(
        _ x: UnsafePointer<Float>, _ layout: ImageLayout, weight: NDArray, into y: UnsafeMutablePointer<Float>
    ) {
        var shape = shape
        let (blocked, threads) = (layout == .blocked, Int32(Parallel.threadCount))
        Scratch.withBytes(ft_conv_forward_blocked_workspace_f32(&shape, blocked, threads)) { scratch in
            weight.read { ft_conv_forward_blocked_f32(&shape, x, blocked, $0.floats, y, scratch, threads) }
        }
    }

    /// The gradient of x, blocked, in the place of `gradInput` or `adding` to it.
    public func inputGradient(
        _ gradOutput: UnsafePointer<Float>, weight: NDArray, adding: Bool, into gradInput: UnsafeMutablePointer<Float>
    ) {
        var shape = shape
        let threads = Int32(Parallel.threadCount)
        Scratch.withBytes(ft_conv_grad_input_blocked_workspace_f32(&shape, threads)) { scratch in
            weight.read {
                ft_conv_grad_input_blocked_f32(&shape, gradOutput, $0.floats, adding, gradInput, scratch, threads)
            }
        }
    }

    /// The gradient of the weight, `weightShape`.
    public func weightGradient(
        _ x: UnsafePointer<Float>, _ layout: ImageLayout, _ gradOutput: UnsafePointer<Float>
    ) -> NDArray {
        var shape = shape
        let (blocked, threads) = (layout == .blocked, Int32(Parallel.threadCount))
        return NDArray.produce(weightShape, .float32) { result in
            Scratch.withBytes(ft_conv_grad_weight_blocked_workspace_f32(&shape, blocked, threads)) { scratch in
                ft_conv_grad_weight_blocked_f32(&shape, x, blocked, gradOutput, result.floats, scratch, threads)
            }
        }
    }
}
