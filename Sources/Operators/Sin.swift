import Autograd
import TensorCore

extension Op {
    /// y = sin x. ONNX Sin 7...; `torch.sin`.
    public struct Sin: UnaryOperator {
        public static let opType = "Sin"
        public static let opsets = 7...OperatorSet.newest
        static let function = UnaryFunction.sin

        public init() {}

        public func saved(for needs: IndexSet64) -> SavedValues { SavedValues(inputs: 0) }

        public func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
            guard let g = gradOutputs[0] else { return [nil] }
            return [try g * context.input(0).cos()]
        }

        public static func samples() throws -> [OperatorSample] {
            [
                OperatorSample("signs", Op.Sin(), [OperatorSample.values([3, 4], in: -4...4)], differentiable: [0]),
                OperatorSample("empty", Op.Sin(), [.zeros([2, 0], dtype: .float64)], differentiable: [0]),
            ]
        }
    }
}

extension Tensor {
    /// y = sin x, elementwise.
    public func sin() -> Tensor { checked(try apply(Op.Sin(), floating)) }
}
