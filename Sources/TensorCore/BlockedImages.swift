import CKernels

/// How a plan keeps the channels of an image in memory.
public enum ImageLayout: Sendable {
    /// `[N, C, spatial...]`, as `NDArray`.
    case planar
    /// `[N, C / 16, spatial..., 16]`, filled up with zero channels, 64-byte aligned: what convolutions compute in.
    case blocked

    /// Elements of one image of `channels` channels and `positions` pixels.
    public func elementsPerImage(channels: Int, positions: Int) -> Int {
        switch self {
        case .planar: channels * positions
        case .blocked: ImageLayout.wholeBlocks(channels) * positions
        }
    }

    /// `channels` filled up to whole blocks: the length of an array per channel that kernels of blocked images read.
    public static func wholeBlocks(_ channels: Int) -> Int { (channels + FT_BLOCK - 1) / FT_BLOCK * FT_BLOCK }
}

/// Copies images `[images, channels, positions]` into the blocked layout.
public func blockChannels(
    _ x: UnsafePointer<Float>, images: Int, channels: Int, positions: Int, into blocked: UnsafeMutablePointer<Float>
) {
    ft_block_f32(x, images, channels, positions, blocked, ft_get_num_threads())
}

/// Copies blocked images back to `[images, channels, positions]`.
public func unblockChannels(
    _ blocked: UnsafePointer<Float>, images: Int, channels: Int, positions: Int, into y: UnsafeMutablePointer<Float>
) {
    ft_unblock_f32(blocked, images, channels, positions, y, ft_get_num_threads())
}

/// `[N, C, H, W]` in the blocked layout to the largest element of each window, blocked.
///
/// - Parameter images: how many of the images that `inputShape` describes there are.
/// - Throws: `ShapeError` when the geometry does not fit or has more than two spatial axes.
public struct BlockedMaxPool: Sendable {
    private let shape: ft_conv_shape

    public init(_ geometry: PoolGeometry, inputShape: [Int]) throws {
        let output = try geometry.outputShape(inputShape)
        guard inputShape.count == 4 else { throw ShapeError("MaxPool", "expected [N, C, H, W], got \(inputShape)") }
        shape = ft_conv_shape(
            batch: inputShape[0], in_channels: inputShape[1], out_channels: inputShape[1], groups: 1,
            input: (1, inputShape[2], inputShape[3]), kernel: (1, geometry.kernelShape[0], geometry.kernelShape[1]),
            stride: (1, geometry.strides[0], geometry.strides[1]),
            dilation: (1, geometry.dilations[0], geometry.dilations[1]),
            pad: (0, geometry.padsBegin[0], geometry.padsBegin[1]), output: (1, output[2], output[3]))
    }

    public func run(images: Int, input: UnsafePointer<Float>, output: UnsafeMutablePointer<Float>) {
        var shape = shape
        shape.batch = images
        ft_max_pool_blocked_f32(&shape, input, output, ft_get_num_threads())
    }

    /// Whether a byte can number the elements of a window, as `run(input:output:places:)` does.
    public var hasSmallWindow: Bool { shape.kernel.1 * shape.kernel.2 <= 255 }

    /// As `run` for the whole batch; `places` gets each maximum's position in its window, one byte per element of the
    /// output.
    public func run(
        input: UnsafePointer<Float>, output: UnsafeMutablePointer<Float>, places: UnsafeMutablePointer<UInt8>
    ) {
        var shape = shape
        ft_max_pool_places_blocked_f32(&shape, input, output, places, ft_get_num_threads())
    }

    /// The gradient of the input: `gradOutput` added up at the maxima, zero elsewhere.
    public func gradient(
        _ gradOutput: UnsafePointer<Float>, places: UnsafePointer<UInt8>, into gradInput: UnsafeMutablePointer<Float>
    ) {
        var shape = shape
        ft_max_pool_gradient_blocked_f32(&shape, places, gradOutput, gradInput, ft_get_num_threads())
    }
}

/// Mean over positions of blocked images; `y` becomes `[images, channels]`.
public func globalAverageBlocked(
    _ x: UnsafePointer<Float>, images: Int, channels: Int, positions: Int, into y: UnsafeMutablePointer<Float>
) {
    ft_global_average_blocked_f32(x, images, channels, positions, y, ft_get_num_threads())
}

/// `y = activation(a + b)` over `count` elements, a multiple of 16. `y` may be `a` or `b`.
public func addBlocked(
    _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, count: Int, activation: FusedActivation,
    into y: UnsafeMutablePointer<Float>
) {
    withEpilogue(bias: nil, residual: nil, activation: activation) { epilogue in
        ft_add_blocked_f32(a, b, count, &epilogue, y, ft_get_num_threads())
    }
}
