import Autograd
import Operators
import TensorCore

/// y = (x − mean) / √(variance + epsilon) · weight + bias over the last axes of x, which are `normalizedShape`.
///
/// Source: `torch.nn.LayerNorm`.
public final class LayerNorm: Module {
    /// `normalizedShape`
    public let weight: Parameter
    /// `normalizedShape`; nil without bias.
    public let bias: Parameter?
    public let epsilon: Double

    /// A layer over the last axes, of `normalizedShape`, that scales by 1 and shifts by 0 at first.
    public init(_ normalizedShape: [Int], epsilon: Double = 1e-5, bias: Bool = true, dtype: DType = .float32) {
        weight = Parameter(NDArray.ones(normalizedShape, dtype: dtype))
        self.bias = bias ? Parameter(NDArray.zeros(normalizedShape, dtype: dtype)) : nil
        self.epsilon = epsilon
    }

    /// Over the last axis, of `size` elements.
    public convenience init(_ size: Int, epsilon: Double = 1e-5, bias: Bool = true, dtype: DType = .float32) {
        self.init([size], epsilon: epsilon, bias: bias, dtype: dtype)
    }

    public var normalizedShape: [Int] { weight.shape }

    public override var members: Members { ["weight": weight, "bias": bias] }

    public override func forward(_ x: Tensor) throws -> Tensor {
        guard x.shape.suffix(weight.rank) == weight.shape[...] else {
            throw ShapeError("LayerNorm", "expected x to end in \(weight.shape), got \(x.shape)")
        }
        return x.layerNorm(weight: weight, bias: bias, eps: epsilon)
    }

    public override var extraDescription: String {
        "\(tuple(normalizedShape)), eps=\(number(epsilon)), elementwise_affine=True"
            + (bias == nil ? ", bias=False" : "")
    }

    public override func emptyCopy() throws -> Module {
        LayerNorm(normalizedShape, epsilon: epsilon, bias: bias != nil, dtype: weight.dtype)
    }
}
