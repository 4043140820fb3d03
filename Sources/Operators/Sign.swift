import Autograd
import TensorCore

extension Op {
    /// −1, 0 or 1 by the sign of x. ONNX Sign 9...; `torch.sign`. The gradient is zero.
    public struct Sign: StepFunction {
        public static let opType = "Sign"
        public static let opsets = 9...OperatorSet.newest
        static let function = UnaryFunction.sign

        public init() {}

        public static func samples() throws -> [OperatorSample] {
            [
                OperatorSample("signs", Op.Sign(), [OperatorSample.values([3, 4])], differentiable: [0]),
                OperatorSample(
                    "special", Op.Sign(), [NDArray([0, -0.5, 0.5, 1.5, 2.5, -Double.infinity])], differentiable: []),
            ]
        }
    }
}

extension Tensor {
    /// −1, 0 or 1 by the sign of x, elementwise.
    public func sign() -> Tensor { checked(try apply(Op.Sign(), self)) }
}
