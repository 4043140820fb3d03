import Autograd
import TensorCore

extension Op {
    /// y = x Φ(x), Φ the normal distribution function, or its approximation
    /// y = x/2 (1 + tanh(√(2/π) (x + 0.044715 x³))). ONNX Gelu 20...; `torch.nn.functional.gelu`.
    public struct Gelu: PrimitiveOperator {
        public static let opType = "Gelu"
        public var keepsImagesApart: Bool { true }
        public static let opsets = 20...OperatorSet.newest
        let isTanh: Bool

        public init(tanh: Bool = false) { isTanh = tanh }

        public init(_ node: NodeAttributes) throws {
            switch try node.string("approximate", default: "none") {
            case "none": isTanh = false
            case "tanh": isTanh = true
            case let other: throw node.unsupported("approximate", "unknown form '\(other)'")
            }
        }

        public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation { batch.aligned(output: output) }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] {
            let x = try required(inputs, 0, "X")
            return [ValueInfo(x.dtype, x.shape)]
        }

        public func forward(_ inputs: [NDArray?]) throws -> [NDArray] {
            let x = try required(inputs, 0, "X")
            func times(_ a: NDArray, _ factor: Double) throws -> NDArray {
                try .binary(.mul, a, NDArray(scalar: factor, dtype: x.dtype))
            }
            let one = NDArray(scalar: 1, dtype: x.dtype)
            let half = try times(x, 0.5)
            if !isTanh {
                let erf = try times(x, 0.5.squareRoot()).map(.erf)
                return [try .binary(.mul, half, .binary(.add, erf, one))]
            }
            // x + c x³ = x (1 + c x²)
            let bracket = try NDArray.binary(.add, times(x.map(.square), Self.cubic), one)
            let tanh = try times(.binary(.mul, x, bracket), Self.scale).map(.tanh)
            return [try .binary(.mul, half, .binary(.add, tanh, one))]
        }

        private static let cubic = 0.044715
        private static let scale = (2 / Double.pi).squareRoot()

        public func saved(for needs: IndexSet64) -> SavedValues { SavedValues(inputs: 0) }

        public func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
            guard let g = gradOutputs[0] else { return [nil] }
            let x = try context.input(0)
            if !isTanh {
                // (x Φ(x))' = Φ(x) + x φ(x)
                let cumulative = ((x * 0.5.squareRoot()).erf() + 1) * 0.5
                let density = (x.square() * -0.5).exp() * (0.5 / Double.pi).squareRoot()
                return [g * (cumulative + x * density)]
            }
            let square = x.square()
            let tanh = ((x * (square * Self.cubic + 1)) * Self.scale).tanh()
            let inner = (square * (3 * Self.cubic) + 1) * Self.scale
            return [g * ((tanh + 1) * 0.5 + x * 0.5 * (1 - tanh.square()) * inner)]
        }

        public static func samples() throws -> [OperatorSample] {
            let x = OperatorSample.values([3, 4])
            return [
                OperatorSample("exact", Op.Gelu(), [x], differentiable: [0]),
                OperatorSample("tanh", Op.Gelu(tanh: true), [x], differentiable: [0]),
            ]
        }
    }
}

extension Tensor {
    /// x Φ(x), or its approximation by tanh, elementwise. Source: `torch.nn.functional.gelu`.
    public func gelu(tanh: Bool = false) -> Tensor { checked(try apply(Op.Gelu(tanh: tanh), self)) }
}
