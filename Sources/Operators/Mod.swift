import Autograd
import TensorCore

extension Op {
    /// Remainder with broadcasting: with the divisor's sign, or with `fmod` the dividend's.
    ///
    /// ONNX Mod 10...; `torch.remainder`, `torch.fmod`.
    public struct Mod: PrimitiveOperator, BroadcastingOperator {
        public static let opType = "Mod"
        public static let opsets = 10...OperatorSet.newest
        let isTruncating: Bool
        var legacyAxis: Int? { nil }
        public var name: String { isTruncating ? "Fmod" : "Remainder" }

        public init(fmod: Bool = false) { isTruncating = fmod }
        public init(_ node: NodeAttributes) throws { isTruncating = try node.bool("fmod", default: false) }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] { try broadcastInfo(inputs) }

        public func forward(_ inputs: [NDArray?]) throws -> [NDArray] {
            let (a, b) = try aligned(inputs)
            return [try NDArray.binary(isTruncating ? .fmod : .mod, a, b)]
        }

        public func saved(for needs: IndexSet64) -> SavedValues {
            // ∂y/∂a = 1; ∂y/∂b is minus the whole part of a / b.
            needs.contains(1) ? SavedValues(inputs: [0, 1]) : .none
        }

        public func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
            guard let g = gradOutputs[0] else { return [nil, nil] }
            var gradB: Tensor?
            if context.needs(1) {
                let (a, b) = (try context.input(0).array, try context.input(1).array)
                let quotient = try NDArray.binary(.div, a, b)
                let whole =
                    try isTruncating
                    ? NDArray.binary(.mul, quotient.map(.sign), quotient.map(.abs).map(.floor)) : quotient.map(.floor)
                gradB = try -(g * Tensor(whole)).summed(to: context.inputShape(1))
            }
            return [context.needs(0) ? try g.summed(to: context.inputShape(0)) : nil, gradB]
        }

        public static func samples() throws -> [OperatorSample] {
            let (a, b) = (OperatorSample.values([2, 3], in: -4...4), NDArray([0.7, -1.1, 1.3]))
            let (m, n) = (NDArray([-4, 7, 5]), NDArray([2, -3, 8]))
            return [
                OperatorSample("floats", Op.Mod(), [a, b], differentiable: [0, 1]),
                OperatorSample("fmod", Op.Mod(fmod: true), [a, b], differentiable: [0, 1]),
                OperatorSample("integers", Op.Mod(), [m, n], differentiable: []),
                OperatorSample("integers, fmod", Op.Mod(fmod: true), [m, n], differentiable: []),
            ]
        }
    }
}

extension Tensor {
    /// Remainder with the sign of the divisor. Source: `torch.remainder`.
    public static func % (a: Tensor, b: Tensor) -> Tensor {
        let (a, b) = promoted(a, b)
        return checked(try apply(Op.Mod(), a, b))
    }
    public static func % (a: Tensor, b: some NumberOperand) -> Tensor { a % b.literal(beside: a) }
}
