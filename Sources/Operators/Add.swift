import Autograd
import TensorCore

extension Op {
    /// Elementwise sum y = a + b with broadcasting. ONNX Add 1...; `torch.add`.
    public struct Add: ArithmeticOperator {
        public static let opType = "Add"
        public var keepsImagesApart: Bool { true }
        static let function = BinaryFunction.add
        let legacyAxis: Int?

        public init() { legacyAxis = nil }
        init(legacyAxis: Int?) { self.legacyAxis = legacyAxis }

        public func saved(for needs: IndexSet64) -> SavedValues { .none }

        public func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
            guard let g = gradOutputs[0] else { return [nil, nil] }
            return [
                context.needs(0) ? try unbroadcast(g, 0, context) : nil,
                context.needs(1) ? try unbroadcast(g, 1, context) : nil,
            ]
        }

        public static func samples() throws -> [OperatorSample] { try arithmeticSamples() }
    }
}

extension Tensor {
    /// Elementwise sum with broadcasting.
    public static func + (a: Tensor, b: Tensor) -> Tensor {
        let (a, b) = promoted(a, b)
        return checked(try apply(Op.Add(), a, b))
    }
    public static func + (a: Tensor, b: some NumberOperand) -> Tensor {
        a.with(.add, b) ?? a + b.literal(beside: a)
    }
    public static func + (a: some NumberOperand, b: Tensor) -> Tensor { b + a }

    /// Binds `a` to the sum: a new tensor, not an in-place change.
    public static func += (a: inout Tensor, b: Tensor) { a = a + b }
    public static func += (a: inout Tensor, b: some NumberOperand) { a = a + b }
}
