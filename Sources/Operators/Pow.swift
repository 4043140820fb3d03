import Autograd
import TensorCore

/// Power: `x ** 2`.
precedencegroup ExponentiationPrecedence {
    associativity: right
    higherThan: MultiplicationPrecedence
}
infix operator ** : ExponentiationPrecedence

extension Op {
    /// Elementwise power y = aᵇ with broadcasting; y has the type of a. ONNX Pow 1...; `torch.pow`.
    public struct Pow: ArithmeticOperator {
        public static let opType = "Pow"
        static let function = BinaryFunction.pow
        let legacyAxis: Int?

        public init() { legacyAxis = nil }
        init(legacyAxis: Int?) { self.legacyAxis = legacyAxis }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] {
            var inputs = inputs
            // Operator set 12 allows an exponent of another type.
            if inputs.count == 2, let base = inputs[0] { inputs[1]?.dtype = base.dtype }
            return try broadcastInfo(inputs)
        }

        public func forward(_ inputs: [NDArray?]) throws -> [NDArray] {
            let (a, b) = try aligned(inputs)
            if a.dtype == b.dtype { return [try NDArray.binary(.pow, a, b)] }
            if a.dtype.isFloatingPoint { return [try NDArray.binary(.pow, a, b.converted(to: a.dtype))] }
            return [
                try NDArray.binary(.pow, a.converted(to: .float64), b.converted(to: .float64)).converted(to: a.dtype)
            ]
        }

        public func saved(for needs: IndexSet64) -> SavedValues {
            // ∂y/∂a = b aᵇ⁻¹; ∂y/∂b = y ln a.
            SavedValues(inputs: [0, 1], outputs: needs.contains(1) ? 0 : [])
        }

        public func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
            guard let g = gradOutputs[0] else { return [nil, nil] }
            let (a, b) = (try operand(0, context), try operand(1, context))
            var gradA: Tensor?
            var gradB: Tensor?
            if context.needs(0) { gradA = try unbroadcast(gradBase(g, a, b.to(a.dtype)), 0, context) }
            if context.needs(1) {
                // aᵇ is constant 0 in b at a = 0, where the logarithm is not finite.
                let isFlat = (a .== 0) .& (b .>= 0)
                let slope = try context.output(0) * a.log()
                gradB = try unbroadcast((g * Tensor.where(isFlat, 0, slope)).to(b.dtype), 1, context)
            }
            return [gradA, gradB]
        }

        private func gradBase(_ g: Tensor, _ a: Tensor, _ b: Tensor) throws -> Tensor {
            if b.count == 1, !b.requiresGrad {
                switch b.item() {
                case 0: return g * 0
                case 1: return g
                case 2: return g * a * 2
                case let exponent: return g * (a ** (exponent - 1)) * exponent
                }
            }
            // 0⁻¹ must not meet b = 0, where the power is constant.
            return g * Tensor.where((a .== 0) .& (b .== 0), 0, b * (a ** (b - 1)))
        }

        public static func samples() throws -> [OperatorSample] {
            let base = OperatorSample.values([2, 3], in: 0.3...2)
            let signed = OperatorSample.values([2, 3])
            let exponents = [-1.0, 0, 1, 2, 3].map { exponent in
                OperatorSample(
                    "exponent \(exponent)", Op.Pow(), [signed, NDArray(scalar: exponent)], differentiable: [0])
            }
            return try arithmeticSamples(0.3...2, -2...2) + exponents + [
                OperatorSample("square root", Op.Pow(), [base, NDArray(scalar: 0.5)], differentiable: [0, 1]),
                OperatorSample("zero exponent", Op.Pow(), [base, NDArray([0.0, 1, 2])], differentiable: [0, 1]),
                OperatorSample("integer exponent", Op.Pow(), [signed, NDArray([3, 2, 1])], differentiable: [0]),
                OperatorSample("integer base", Op.Pow(), [NDArray([2, 3]), NDArray([3, 2])], differentiable: []),
            ]
        }
    }
}

extension Tensor {
    /// Elementwise power with broadcasting.
    public static func ** (a: Tensor, b: Tensor) -> Tensor {
        let (a, b) = promoted(a, b)
        return checked(try apply(Op.Pow(), a, b))
    }
    public static func ** (a: Tensor, b: some NumberOperand) -> Tensor { a ** b.literal(beside: a) }
    public static func ** (a: some NumberOperand, b: Tensor) -> Tensor { a.literal(beside: b) ** b }

    /// Elementwise power with broadcasting.
    public func pow(_ exponent: Tensor) -> Tensor { self ** exponent }
    public func pow(_ exponent: some NumberOperand) -> Tensor { self ** exponent }

    /// x², elementwise.
    public func square() -> Tensor { self * self }
}
