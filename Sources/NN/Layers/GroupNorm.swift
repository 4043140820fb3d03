import Autograd
import Operators
import TensorCore

/// Normalisation of x `[N, C, ...]` by the mean and variance of each of `groups` groups of channels, then scale and shift of
/// each channel. Source: `torch.nn.GroupNorm`.
public final class GroupNorm: Module {
    public let groups: Int
    /// `[C]`
    public let weight: Parameter
    /// `[C]`
    public let bias: Parameter
    public let epsilon: Double

    /// A layer that scales by 1 and shifts by 0 at first.
    public init(_ groups: Int, _ channels: Int, epsilon: Double = 1e-5, dtype: DType = .float32) {
        demand(groups > 0 && channels % groups == 0, "\(channels) channels do not divide into \(groups) groups")
        self.groups = groups
        weight = Parameter(NDArray.ones([channels], dtype: dtype))
        bias = Parameter(NDArray.zeros([channels], dtype: dtype))
        self.epsilon = epsilon
    }

    public override var members: Members { ["weight": weight, "bias": bias] }

    public override func forward(_ x: Tensor) throws -> Tensor {
        try groupNorm(x, groups: groups, weight: weight, bias: bias, epsilon: epsilon)
    }

    public override var extraDescription: String { "\(groups), \(weight.count), eps=\(number(epsilon)), affine=True" }

    public override func emptyCopy() throws -> Module {
        GroupNorm(groups, weight.count, epsilon: epsilon, dtype: weight.dtype)
    }
}
