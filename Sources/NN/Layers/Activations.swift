import Autograd
import Operators

/// max(x, 0). Source: `torch.nn.ReLU`.
public final class ReLU: Module {
    public override func forward(_ x: Tensor) throws -> Tensor { x.relu() }
    public override func emptyCopy() throws -> Module { ReLU() }
}

/// 1 / (1 + exp(−x)). Source: `torch.nn.Sigmoid`.
public final class Sigmoid: Module {
    public override func forward(_ x: Tensor) throws -> Tensor { x.sigmoid() }
    public override func emptyCopy() throws -> Module { Sigmoid() }
}

/// tanh(x). Source: `torch.nn.Tanh`.
public final class Tanh: Module {
    public override func forward(_ x: Tensor) throws -> Tensor { x.tanh() }
    public override func emptyCopy() throws -> Module { Tanh() }
}

/// x · sigmoid(x). Source: `torch.nn.SiLU`.
public final class SiLU: Module {
    public override func forward(_ x: Tensor) throws -> Tensor { x.silu() }
    public override func emptyCopy() throws -> Module { SiLU() }
}

/// x · min(max(x + 3, 0), 6) / 6. Source: `torch.nn.Hardswish`.
public final class Hardswish: Module {
    public override func forward(_ x: Tensor) throws -> Tensor { x.hardswish() }
    public override func emptyCopy() throws -> Module { Hardswish() }
}

/// exp(x) divided by its sum along `dim`. Source: `torch.nn.Softmax`.
public final class Softmax: Module {
    public let dim: Int

    /// - `dim`: the axis whose elements sum to 1.
    public init(dim: Int) { self.dim = dim }

    public override func forward(_ x: Tensor) throws -> Tensor { try Op.Softmax(axis: dim)([x])[0] }

    public override var extraDescription: String { "dim=\(dim)" }
    public override func emptyCopy() throws -> Module { Softmax(dim: dim) }
}
