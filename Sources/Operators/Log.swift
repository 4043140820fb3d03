import Autograd
import TensorCore

extension Op {
    /// y = ln x. ONNX Log 1...; `torch.log`.
    public struct Log: UnaryOperator {
        public static let opType = "Log"
        static let function = UnaryFunction.log

        public init() {}

        public func saved(for needs: IndexSet64) -> SavedValues { SavedValues(inputs: 0) }

        public func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
            guard let g = gradOutputs[0] else { return [nil] }
            return [try g / context.input(0)]
        }

        public static func samples() throws -> [OperatorSample] {
            [
                OperatorSample(
                    "positive", Op.Log(), [OperatorSample.values([3, 4], in: 0.2...4)], differentiable: [0]),
                OperatorSample("empty", Op.Log(), [.zeros([2, 0], dtype: .float64)], differentiable: [0]),
            ]
        }
    }
}

extension Tensor {
    /// y = ln x, elementwise.
    public func log() -> Tensor { checked(try apply(Op.Log(), floating)) }
}
