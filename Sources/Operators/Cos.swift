import Autograd
import TensorCore

extension Op {
    /// y = cos x. ONNX Cos 7...; `torch.cos`.
    public struct Cos: UnaryOperator {
        public static let opType = "Cos"
        public static let opsets = 7...OperatorSet.newest
        static let function = UnaryFunction.cos

        public init() {}

        public func saved(for needs: IndexSet64) -> SavedValues { SavedValues(inputs: 0) }

        public func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
            guard let g = gradOutputs[0] else { return [nil] }
            return [try -(g * context.input(0).sin())]
        }

        public static func samples() throws -> [OperatorSample] {
            [
                OperatorSample("signs", Op.Cos(), [OperatorSample.values([3, 4], in: -4...4)], differentiable: [0]),
                OperatorSample("empty", Op.Cos(), [.zeros([2, 0], dtype: .float64)], differentiable: [0]),
            ]
        }
    }
}

extension Tensor {
    /// y = cos x, elementwise.
    public func cos() -> Tensor { checked(try apply(Op.Cos(), floating)) }
}
