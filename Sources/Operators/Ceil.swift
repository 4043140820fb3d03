import Autograd
import TensorCore

extension Op {
    /// The smallest integer that is not below x. ONNX Ceil 1...; `torch.ceil`. The gradient is zero.
    public struct Ceil: StepFunction {
        public static let opType = "Ceil"
        static let function = UnaryFunction.ceil

        public init() {}

        public static func samples() throws -> [OperatorSample] {
            [
                OperatorSample("signs", Op.Ceil(), [OperatorSample.values([3, 4])], differentiable: [0]),
                OperatorSample(
                    "special", Op.Ceil(), [NDArray([0, -0.5, 0.5, 1.5, 2.5, -Double.infinity])], differentiable: []),
            ]
        }
    }
}

extension Tensor {
    /// The smallest integer that is not below x, elementwise.
    public func ceil() -> Tensor { checked(try apply(Op.Ceil(), self)) }
}
