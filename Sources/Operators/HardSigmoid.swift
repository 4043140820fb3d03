import Autograd
import TensorCore

extension Op {
    /// y = alpha · x + beta limited to 0 ... 1. ONNX HardSigmoid 1... (alpha 0.2, beta 0.5).
    ///
    /// `torch.nn.functional.hardsigmoid` is alpha 1/6. The gradient at both kinks is 0, as PyTorch's.
    public struct HardSigmoid: PrimitiveOperator {
        public static let opType = "HardSigmoid"
        public var keepsImagesApart: Bool { true }
        public var name: String { "Hardsigmoid" }
        let alpha: Double
        let beta: Double

        public init(alpha: Double = 0.2, beta: Double = 0.5) {
            self.alpha = alpha
            self.beta = beta
        }

        public init(_ node: NodeAttributes) throws {
            self.init(alpha: try node.float("alpha", default: 0.2), beta: try node.float("beta", default: 0.5))
        }

        public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation { batch.aligned(output: output) }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] { try likeFirst(inputs) }

        struct Function: ElementFunction {
            let alpha: Double
            let beta: Double
            @inline(__always)
            func callAsFunction<T: FloatingScalar>(_ x: T) -> T {
                let y = T(alpha) * x + T(beta)
                return y < 0 ? 0 : y > 1 ? 1 : y
            }
        }

        public func forward(_ inputs: [NDArray?]) throws -> [NDArray] {
            [try required(inputs, 0, "X").mapped(Function(alpha: alpha, beta: beta), Self.opType)]
        }

        public func saved(for needs: IndexSet64) -> SavedValues { SavedValues(outputs: 0) }

        public func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
            let rule = SlopeGradient(name: "HardsigmoidBackward", low: 0, high: 1, inside: alpha, isOpen: true)
            return try [gradOutputs[0].map { try apply(rule, $0, context.output(0).detach()) }]
        }

        public static func samples() throws -> [OperatorSample] {
            let x = OperatorSample.values([3, 5], in: -4...4)
            return [
                OperatorSample("default", Op.HardSigmoid(), [x], differentiable: [0]),
                OperatorSample("falling", Op.HardSigmoid(alpha: -0.6, beta: 0.2), [x], differentiable: [0]),
            ]
        }
    }
}

extension Tensor {
    /// x / 6 + 1/2 limited to 0 ... 1. Source: `torch.nn.functional.hardsigmoid`.
    public func hardsigmoid() -> Tensor { checked(try apply(Op.HardSigmoid(alpha: 1.0 / 6), self)) }
}
