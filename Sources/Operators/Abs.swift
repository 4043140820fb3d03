import Autograd
import TensorCore

extension Op {
    /// y = |x|. ONNX Abs 1...; `torch.abs`. The gradient at 0 is 0, as in PyTorch.
    public struct Abs: UnaryOperator {
        public static let opType = "Abs"
        public var keepsImagesApart: Bool { true }
        static let function = UnaryFunction.abs

        public init() {}

        public func saved(for needs: IndexSet64) -> SavedValues { SavedValues(inputs: 0) }

        public func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
            guard let g = gradOutputs[0] else { return [nil] }
            return [try g * context.input(0).detach().sign()]
        }

        public static func samples() throws -> [OperatorSample] {
            [
                OperatorSample("signs", Op.Abs(), [OperatorSample.values([3, 4], in: -2...2)], differentiable: [0]),
                OperatorSample("empty", Op.Abs(), [.zeros([2, 0], dtype: .float64)], differentiable: [0]),
            ]
        }
    }
}

extension Tensor {
    /// y = |x|, elementwise.
    public func abs() -> Tensor { checked(try apply(Op.Abs(), self)) }
}
