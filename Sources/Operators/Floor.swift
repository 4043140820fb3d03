import Autograd
import TensorCore

extension Op {
    /// The largest integer that is not above x. ONNX Floor 1...; `torch.floor`. The gradient is zero.
    public struct Floor: StepFunction {
        public static let opType = "Floor"
        static let function = UnaryFunction.floor

        public init() {}

        public static func samples() throws -> [OperatorSample] {
            [
                OperatorSample("signs", Op.Floor(), [OperatorSample.values([3, 4])], differentiable: [0]),
                OperatorSample(
                    "special", Op.Floor(), [NDArray([0, -0.5, 0.5, 1.5, 2.5, -Double.infinity])], differentiable: []),
            ]
        }
    }
}

extension Tensor {
    /// The largest integer that is not above x, elementwise.
    public func floor() -> Tensor { checked(try apply(Op.Floor(), self)) }
}
