import Autograd
import Operators
import TensorCore

/// y = x · weightᵀ + bias along the last axis; x: `[..., inFeatures]`, y: `[..., outFeatures]`. Source: `torch.nn.Linear`.
public final class Linear: Module {
    /// `[outFeatures, inFeatures]`
    public let weight: Parameter
    /// `[outFeatures]`
    public let bias: Parameter?

    /// A layer with PyTorch's initial weights, uniform in ±1 / √inFeatures.
    ///
    /// - `random`: where the weights come from; by default the scope of `withRandomSeed`.
    public init(
        _ inFeatures: Int, _ outFeatures: Int, bias: Bool = true, dtype: DType = .float32, random: RandomSource? = nil
    ) {
        var random = random ?? RandomScope.next()
        let shape = [outFeatures, inFeatures]
        weight = Parameter(Initialization.kaimingUniform(shape, dtype: dtype, using: &random))
        self.bias =
            bias ? Parameter(Initialization.bias(weightShape: shape, dtype: dtype, using: &random)) : nil
    }

    /// A layer with given weights. Throws `ModuleError.invalidArgument` when they do not fit each other.
    public init(weight: Parameter, bias: Parameter? = nil) throws {
        self.weight = weight
        self.bias = bias
        super.init()
        try require(weight.rank == 2, "weight", "must be [outFeatures, inFeatures], got \(weight.shape)")
        if let bias {
            try require(bias.shape == [weight.shape[0]], "bias", "must be [\(weight.shape[0])], got \(bias.shape)")
        }
    }

    public var inFeatures: Int { weight.shape[1] }
    public var outFeatures: Int { weight.shape[0] }

    public override var members: Members { ["weight": weight, "bias": bias] }

    public override func forward(_ x: Tensor) throws -> Tensor { try linear(x, weight, bias: bias) }

    public override var extraDescription: String {
        "in_features=\(inFeatures), out_features=\(outFeatures), bias=\(python(bias != nil))"
    }

    public override func emptyCopy() throws -> Module {
        try Linear(weight: weight.twin(), bias: bias?.twin())
    }
}
