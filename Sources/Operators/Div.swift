import Autograd
import TensorCore

extension Op {
    /// Elementwise quotient y = a / b with broadcasting; integers divide towards zero. ONNX Div 1...; `torch.div`.
    public struct Div: ArithmeticOperator {
        public static let opType = "Div"
        public var keepsImagesApart: Bool { true }
        static let function = BinaryFunction.div
        let legacyAxis: Int?

        public init() { legacyAxis = nil }
        init(legacyAxis: Int?) { self.legacyAxis = legacyAxis }

        public func saved(for needs: IndexSet64) -> SavedValues {
            // ∂y/∂a = 1 / b; ∂y/∂b = −y / b.
            SavedValues(inputs: 1, outputs: needs.contains(1) ? 0 : [])
        }

        public func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
            guard let g = gradOutputs[0] else { return [nil, nil] }
            let quotient = try g / operand(1, context)
            return [
                context.needs(0) ? try unbroadcast(quotient, 0, context) : nil,
                context.needs(1) ? try unbroadcast(-(quotient * context.output(0)), 1, context) : nil,
            ]
        }

        public static func samples() throws -> [OperatorSample] { try arithmeticSamples(-2...2, 0.4...2) }
    }
}

extension Tensor {
    /// Elementwise quotient with broadcasting; integers become `float32` first, as in PyTorch.
    public static func / (a: Tensor, b: Tensor) -> Tensor {
        let (a, b) = promoted(a, b)
        return checked(try apply(Op.Div(), a.floating, b.floating))
    }
    public static func / (a: Tensor, b: some NumberOperand) -> Tensor {
        a.with(.div, b) ?? a / b.literal(beside: a)
    }
    public static func / (a: some NumberOperand, b: Tensor) -> Tensor { a.literal(beside: b) / b }

    /// Binds `a` to the quotient: a new tensor, not an in-place change.
    public static func /= (a: inout Tensor, b: Tensor) { a = a / b }
    public static func /= (a: inout Tensor, b: some NumberOperand) { a = a / b }
}
