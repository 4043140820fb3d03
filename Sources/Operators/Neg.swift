import Autograd
import TensorCore

extension Op {
    /// y = −x. ONNX Neg 1...; `torch.neg`.
    public struct Neg: UnaryOperator {
        public static let opType = "Neg"
        static let function = UnaryFunction.neg

        public init() {}

        public func saved(for needs: IndexSet64) -> SavedValues { .none }

        public func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
            [gradOutputs[0].map { -$0 }]
        }

        public static func samples() throws -> [OperatorSample] {
            [
                OperatorSample("signs", Op.Neg(), [OperatorSample.values([3, 4])], differentiable: [0]),
                OperatorSample("scalar", Op.Neg(), [NDArray(scalar: 1.5)], differentiable: [0]),
                OperatorSample("integers", Op.Neg(), [NDArray([1, -2, 0])], differentiable: []),
            ]
        }
    }
}

extension Tensor {
    /// −x, elementwise.
    public static prefix func - (x: Tensor) -> Tensor { checked(try apply(Op.Neg(), x)) }

    /// −x, elementwise.
    public func neg() -> Tensor { -self }
}
