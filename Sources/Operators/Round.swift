import Autograd
import TensorCore

extension Op {
    /// The nearest integer, ties to even. ONNX Round 11...; `torch.round`. The gradient is zero.
    public struct Round: StepFunction {
        public static let opType = "Round"
        public static let opsets = 11...OperatorSet.newest
        static let function = UnaryFunction.round

        public init() {}

        public static func samples() throws -> [OperatorSample] {
            [
                OperatorSample("signs", Op.Round(), [OperatorSample.values([3, 4])], differentiable: [0]),
                OperatorSample(
                    "special", Op.Round(), [NDArray([0, -0.5, 0.5, 1.5, 2.5, -Double.infinity])], differentiable: []),
            ]
        }
    }
}

extension Tensor {
    /// The nearest integer, ties to even, elementwise.
    public func round() -> Tensor { checked(try apply(Op.Round(), self)) }
}
