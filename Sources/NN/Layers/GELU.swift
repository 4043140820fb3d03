import Autograd
import Operators

/// x · Φ(x), exactly or by the usual approximation through tanh. Source: `torch.nn.GELU`.
public final class GELU: Module {
    private let usesTanh: Bool

    /// - `tanh`: PyTorch's `approximate='tanh'`.
    public init(tanh: Bool = false) { usesTanh = tanh }

    public override func forward(_ x: Tensor) throws -> Tensor { x.gelu(tanh: usesTanh) }

    public override var extraDescription: String { "approximate='\(usesTanh ? "tanh" : "none")'" }

    public override func emptyCopy() throws -> Module {
        GELU(tanh: usesTanh)
    }
}
