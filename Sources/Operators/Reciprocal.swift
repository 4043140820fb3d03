import Autograd
import TensorCore

extension Op {
    /// y = 1 / x. ONNX Reciprocal 1...; `torch.reciprocal`.
    public struct Reciprocal: UnaryOperator {
        public static let opType = "Reciprocal"
        static let function = UnaryFunction.reciprocal

        public init() {}

        public func saved(for needs: IndexSet64) -> SavedValues { SavedValues(outputs: 0) }

        public func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
            guard let g = gradOutputs[0] else { return [nil] }
            return [try -(g * context.output(0) * context.output(0))]
        }

        public static func samples() throws -> [OperatorSample] {
            [
                OperatorSample(
                    "positive", Op.Reciprocal(), [OperatorSample.values([3, 4], in: 0.3...2)], differentiable: [0]),
                OperatorSample("empty", Op.Reciprocal(), [.zeros([2, 0], dtype: .float64)], differentiable: [0]),
            ]
        }
    }
}

extension Tensor {
    /// y = 1 / x, elementwise.
    public func reciprocal() -> Tensor { checked(try apply(Op.Reciprocal(), floating)) }
}
