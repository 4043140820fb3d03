import Autograd
import Operators
import TensorCore

/// Two-dimensional convolution: x `[N, inChannels, H, W]` to y `[N, outChannels, H', W']`. Source: `torch.nn.Conv2d`.
///
/// H' = (H + top + bottom − dilation · (kernel − 1) − 1) / stride + 1, rounded down, and W' alike.
public final class Conv2d: Module {
    /// `[outChannels, inChannels / groups, kernelHeight, kernelWidth]`
    public let weight: Parameter
    /// `[outChannels]`
    public let bias: Parameter?
    /// Stride, dilation, groups, and zero padding, which may differ between the two sides.
    public let geometry: ConvolutionGeometry

    /// A layer with PyTorch's initial weights, uniform in ±1 / √(inChannels / groups · kernelSize²).
    ///
    /// - `random`: where the weights come from; by default the scope of `withRandomSeed`.
    public init(
        _ inChannels: Int, _ outChannels: Int, kernelSize: Int, stride: Int = 1, padding: Int = 0, dilation: Int = 1,
        groups: Int = 1, bias: Bool = true, dtype: DType = .float32, random: RandomSource? = nil
    ) {
        demand(
            groups > 0 && inChannels % groups == 0 && outChannels % groups == 0,
            "\(inChannels) and \(outChannels) channels do not divide into \(groups) groups")
        var random = random ?? RandomScope.next()
        let shape = [outChannels, inChannels / groups, kernelSize, kernelSize]
        weight = Parameter(Initialization.kaimingUniform(shape, dtype: dtype, using: &random))
        self.bias =
            bias ? Parameter(Initialization.bias(weightShape: shape, dtype: dtype, using: &random)) : nil
        geometry = ConvolutionGeometry(stride: stride, padding: padding, dilation: dilation, groups: groups)
    }

    /// A layer with given weights and any geometry of two axes. Throws `ModuleError.invalidArgument` when they do not fit.
    public init(weight: Parameter, bias: Parameter? = nil, geometry: ConvolutionGeometry = .init()) throws {
        self.weight = weight
        self.bias = bias
        self.geometry = geometry
        super.init()
        try require(weight.rank == 4, "weight", "must be [outChannels, inChannels / groups, H, W], got \(weight.shape)")
        try require(geometry.spatialRank == 2, "geometry", "must have two axes, got \(geometry.spatialRank)")
        if let bias {
            try require(bias.shape == [weight.shape[0]], "bias", "must be [\(weight.shape[0])], got \(bias.shape)")
        }
    }

    public var inChannels: Int { weight.shape[1] * geometry.groups }
    public var outChannels: Int { weight.shape[0] }
    public var kernelSize: [Int] { Array(weight.shape[2...]) }
    /// Zero rows and columns added as `[top, left, bottom, right]`.
    public var padding: [Int] { geometry.paddingBefore + geometry.paddingAfter }

    public override var members: Members { ["weight": weight, "bias": bias] }

    public override func forward(_ x: Tensor) throws -> Tensor {
        try convolution(x, weight, bias: bias, geometry: geometry)
    }

    public override var extraDescription: String {
        var text = "\(inChannels), \(outChannels), kernel_size=\(tuple(kernelSize)), stride=\(tuple(geometry.stride))"
        let isSymmetric = geometry.paddingBefore == geometry.paddingAfter
        if padding.contains(where: { $0 != 0 }) {
            text += ", padding=\(tuple(isSymmetric ? geometry.paddingBefore : padding))"
        }
        if geometry.dilation != [1, 1] { text += ", dilation=\(tuple(geometry.dilation))" }
        if geometry.groups != 1 { text += ", groups=\(geometry.groups)" }
        return bias == nil ? text + ", bias=False" : text
    }

    public override func emptyCopy() throws -> Module {
        try Conv2d(weight: weight.twin(), bias: bias?.twin(), geometry: geometry)
    }
}
