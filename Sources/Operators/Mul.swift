import Autograd
import TensorCore

extension Op {
    /// Elementwise product y = a · b with broadcasting. ONNX Mul 1...; `torch.mul`.
    public struct Mul: ArithmeticOperator {
        public static let opType = "Mul"
        public var keepsImagesApart: Bool { true }
        static let function = BinaryFunction.mul
        let legacyAxis: Int?

        public init() { legacyAxis = nil }
        init(legacyAxis: Int?) { self.legacyAxis = legacyAxis }

        public func saved(for needs: IndexSet64) -> SavedValues {
            // ∂y/∂a = b and ∂y/∂b = a: each gradient reads the other operand.
            var inputs: IndexSet64 = []
            if needs.contains(0) { inputs.insert(1) }
            if needs.contains(1) { inputs.insert(0) }
            return SavedValues(inputs: inputs)
        }

        public func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
            guard let g = gradOutputs[0] else { return [nil, nil] }
            return [
                context.needs(0) ? try unbroadcast(g * operand(1, context), 0, context) : nil,
                context.needs(1) ? try unbroadcast(g * operand(0, context), 1, context) : nil,
            ]
        }

        public static func samples() throws -> [OperatorSample] { try arithmeticSamples() }
    }
}

extension Tensor {
    /// Elementwise product with broadcasting.
    public static func * (a: Tensor, b: Tensor) -> Tensor {
        let (a, b) = promoted(a, b)
        return checked(try apply(Op.Mul(), a, b))
    }
    public static func * (a: Tensor, b: some NumberOperand) -> Tensor {
        a.with(.mul, b) ?? a * b.literal(beside: a)
    }
    public static func * (a: some NumberOperand, b: Tensor) -> Tensor { b * a }

    /// Binds `a` to the product: a new tensor, not an in-place change.
    public static func *= (a: inout Tensor, b: Tensor) { a = a * b }
    public static func *= (a: inout Tensor, b: some NumberOperand) { a = a * b }
}
