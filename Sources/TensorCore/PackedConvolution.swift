import CKernels

/// A convolution whose weights no longer change: they are rearranged once for the kernels that will run it.
///
/// Computes what `convolution(_:_:bias:geometry:residual:activation:)` does, in `float32`.
public struct PackedConvolution: Sendable {
    public let geometry: ConvolutionGeometry
    public let activation: FusedActivation
    /// Shape of the input, with the batch size that the kernels were chosen for: `[N, C, spatial...]`.
    public let inputShape: [Int]
    /// `[N, M, spatial...]`
    public let outputShape: [Int]
    private let bias: NDArray?
    private let packed: NDArray
    private let shape: ft_conv_shape
    private let kernel: ft_conv_algorithm

    /// - `weight`: `[M, C / groups, kernel...]`, `float32`.
    /// - `bias`: `[M]` or nil.
    /// - `inputShape`: `[N, C, spatial...]`; other batch sizes can be run, this one decides the algorithm.
    /// - Throws: `ShapeError` when shapes or element types do not fit.
    public init(
        weight: NDArray, bias: NDArray? = nil, geometry: ConvolutionGeometry, inputShape: [Int],
        activation: FusedActivation = .none
    ) throws {
        guard weight.dtype == .float32, bias == nil || bias?.dtype == .float32 else {
            throw ShapeError("Conv", "expected float32 weights, got \(weight.dtype)")
        }
        if let bias, bias.shape != [weight.shape[0]] {
            throw ShapeError("Conv", "expected bias [\(weight.shape[0])], got \(bias.shape)")
        }
        self.geometry = geometry
        self.activation = activation
        self.inputShape = inputShape
        self.outputShape = try geometry.outputShape(input: inputShape, weight: weight.shape)
        self.bias = bias
        var shape = try geometry.kernelShape(input: inputShape, weight: weight.shape)
        let threads = Int32(Parallel.threadCount)
        let kernel = ft_conv_choose(&shape)
        if ft_conv_reads_plain_weights(kernel) {
            packed = weight
        } else {
            var packed = NDArray(uninitialized: [ft_conv_packed_floats(&shape, kernel)], dtype: .float32)
            weight.withElements(as: Float.self) { weight in
                packed.withMutableElements(as: Float.self) { packed in
                    guard let weight = weight.baseAddress, let packed = packed.baseAddress else { return }
                    ft_conv_pack(&shape, kernel, weight, packed, threads)
                }
            }
            self.packed = packed
        }
        self.shape = shape
        self.kernel = kernel
    }

    /// Bytes of the packed weights.
    public var packedBytes: Int { packed.byteCount }

    /// Sizes of the kernel, one per spatial axis.
    public var kernelShape: [Int] {
        Array([shape.kernel.0, shape.kernel.1, shape.kernel.2].suffix(geometry.spatialRank))
    }

    /// Name of the algorithm that runs, for people.
    public var algorithm: String { String(cString: ft_conv_algorithm_name(kernel)) }

    /// Whether `run` can read its input blocked.
    public var readsBlocked: Bool { ft_conv_reads_blocked(kernel) }
    /// Whether `run` can write its output, and read its residual, blocked.
    public var writesBlocked: Bool { ft_conv_writes_blocked(kernel) }

    /// Computes `batch` images. `output` may be `residual`, and must not overlap `input`.
    ///
    /// - `input`: `batch` images shaped like `inputShape` without its first axis.
    /// - `residual`: laid out as the output, or nil.
    /// - `output`: `batch` images shaped like `outputShape` without its first axis.
    public func run(
        batch: Int, input: UnsafePointer<Float>, inputLayout: ImageLayout = .planar,
        residual: UnsafePointer<Float>? = nil, output: UnsafeMutablePointer<Float>,
        outputLayout: ImageLayout = .planar
    ) {
        precondition(inputLayout == .planar || readsBlocked, "\(algorithm) cannot read a blocked input")
        precondition(outputLayout == .planar || writesBlocked, "\(algorithm) cannot write a blocked output")
        var shape = shape
        shape.batch = batch
        let threads = Int32(Parallel.threadCount)
        let (blockedX, blockedY) = (inputLayout == .blocked, outputLayout == .blocked)
        withEpilogue(bias: bias, residual: nil, activation: activation) { epilogue in
            epilogue.residual = UnsafeRawPointer(residual)
            packed.withElements(as: Float.self) { weight in
                guard let weight = weight.baseAddress else { return }
                Scratch.withBytes(ft_conv_run_workspace(&shape, kernel, blockedX, blockedY, threads)) { scratch in
                    ft_conv_run(
                        &shape, kernel, input, blockedX, weight, &epilogue, output, blockedY, scratch, threads)
                }
            }
        }
    }

    /// Convolves `x`, `[batch, C, spatial...]`.
    ///
    /// - Throws: `ShapeError` when `x` or `residual` do not have the shapes given at the start.
    public func callAsFunction(_ x: NDArray, residual: NDArray? = nil) throws -> NDArray {
        guard x.dtype == .float32, x.rank == inputShape.count, x.shape.dropFirst() == inputShape.dropFirst() else {
            throw ShapeError("Conv", "expected float32 \(inputShape) with any batch size, got \(x.dtype) \(x.shape)")
        }
        var result = try NDArray(result: [x.shape[0]] + outputShape.dropFirst(), .float32, "Conv")
        if let residual, residual.shape != result.shape || residual.dtype != .float32 {
            throw ShapeError("Conv", "expected residual \(result.shape), got \(residual.shape)")
        }
        let batch = x.shape[0]
        x.withElements(as: Float.self) { x in
            result.withMutableElements(as: Float.self) { y in
                guard let input = x.baseAddress, let output = y.baseAddress else { return }
                guard let residual else { return run(batch: batch, input: input, output: output) }
                residual.withElements(as: Float.self) {
                    run(batch: batch, input: input, residual: $0.baseAddress, output: output)
                }
            }
        }
        return result
    }
}
