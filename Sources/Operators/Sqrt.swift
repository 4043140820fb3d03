import Autograd
import TensorCore

extension Op {
    /// y = √x. ONNX Sqrt 1...; `torch.sqrt`.
    public struct Sqrt: UnaryOperator {
        public static let opType = "Sqrt"
        public var keepsImagesApart: Bool { true }
        static let function = UnaryFunction.sqrt

        public init() {}

        public func saved(for needs: IndexSet64) -> SavedValues { SavedValues(outputs: 0) }

        public func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
            guard let g = gradOutputs[0] else { return [nil] }
            return [try g / (context.output(0) * 2)]
        }

        public static func samples() throws -> [OperatorSample] {
            [
                OperatorSample(
                    "positive", Op.Sqrt(), [OperatorSample.values([3, 4], in: 0.2...4)], differentiable: [0]),
                OperatorSample("empty", Op.Sqrt(), [.zeros([2, 0], dtype: .float64)], differentiable: [0]),
            ]
        }
    }
}

extension Tensor {
    /// y = √x, elementwise.
    public func sqrt() -> Tensor { checked(try apply(Op.Sqrt(), floating)) }
}
