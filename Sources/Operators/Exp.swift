import Autograd
import TensorCore

extension Op {
    /// y = eˣ. ONNX Exp 1...; `torch.exp`.
    public struct Exp: UnaryOperator {
        public static let opType = "Exp"
        public var keepsImagesApart: Bool { true }
        static let function = UnaryFunction.exp

        public init() {}

        public func saved(for needs: IndexSet64) -> SavedValues { SavedValues(outputs: 0) }

        public func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
            guard let g = gradOutputs[0] else { return [nil] }
            return [try g * context.output(0)]
        }

        public static func samples() throws -> [OperatorSample] {
            [
                OperatorSample("signs", Op.Exp(), [OperatorSample.values([3, 4], in: -2...2)], differentiable: [0]),
                OperatorSample("empty", Op.Exp(), [.zeros([2, 0], dtype: .float64)], differentiable: [0]),
            ]
        }
    }
}

extension Tensor {
    /// y = eˣ, elementwise.
    public func exp() -> Tensor { checked(try apply(Op.Exp(), floating)) }
}
