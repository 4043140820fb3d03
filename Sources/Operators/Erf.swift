import Autograd
import TensorCore

extension Op {
    /// y = 2/√π ∫₀ˣ e^(−t²) dt. ONNX Erf 9...; `torch.erf`.
    public struct Erf: UnaryOperator {
        public static let opType = "Erf"
        public static let opsets = 9...OperatorSet.newest
        static let function = UnaryFunction.erf

        public init() {}

        public func saved(for needs: IndexSet64) -> SavedValues { SavedValues(inputs: 0) }

        public func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
            guard let g = gradOutputs[0] else { return [nil] }
            return [try g * (context.input(0).square() * -1).exp() * (2 / Double.pi.squareRoot())]
        }

        public static func samples() throws -> [OperatorSample] {
            [
                OperatorSample("signs", Op.Erf(), [OperatorSample.values([3, 4], in: -2...2)], differentiable: [0]),
                OperatorSample("empty", Op.Erf(), [.zeros([2, 0], dtype: .float64)], differentiable: [0]),
            ]
        }
    }
}

extension Tensor {
    /// y = 2/√π ∫₀ˣ e^(−t²) dt, elementwise.
    public func erf() -> Tensor { checked(try apply(Op.Erf(), floating)) }
}
