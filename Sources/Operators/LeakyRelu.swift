import Autograd
import TensorCore

extension Op {
    /// y = x for x > 0, alpha · x otherwise. ONNX LeakyRelu 1... (alpha 0.01); `torch.nn.functional.leaky_relu`.
    public struct LeakyRelu: PrimitiveOperator {
        public static let opType = "LeakyRelu"
        public var keepsImagesApart: Bool { true }
        let alpha: Double

        public init(alpha: Double = 0.01) { self.alpha = alpha }
        public init(_ node: NodeAttributes) throws { self.init(alpha: try node.float("alpha", default: 0.01)) }

        public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation { batch.aligned(output: output) }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] { try likeFirst(inputs) }

        private struct Function: ElementFunction {
            let alpha: Double
            func callAsFunction<T: FloatingScalar>(_ x: T) -> T { x > 0 ? x : T(alpha) * x }
        }

        public func forward(_ inputs: [NDArray?]) throws -> [NDArray] {
            [try required(inputs, 0, "X").mapped(Function(alpha: alpha), Self.opType)]
        }

        public func saved(for needs: IndexSet64) -> SavedValues { SavedValues(inputs: 0) }

        public func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
            let rule = SlopeGradient(name: "LeakyReluBackward", high: 0, inside: alpha, above: 1, atNaN: alpha)
            return try [gradOutputs[0].map { try apply(rule, $0, context.input(0).detach()) }]
        }

        public static func samples() throws -> [OperatorSample] {
            [
                OperatorSample(
                    "signs", Op.LeakyRelu(alpha: 0.1), [OperatorSample.values([3, 4])], differentiable: [0]),
                OperatorSample("empty", Op.LeakyRelu(), [.zeros([0, 2], dtype: .float64)], differentiable: [0]),
            ]
        }
    }
}

extension Tensor {
    /// x for x > 0, `negativeSlope` · x otherwise. Source: `torch.nn.functional.leaky_relu`.
    public func leakyRelu(negativeSlope: Double = 0.01) -> Tensor {
        checked(try apply(Op.LeakyRelu(alpha: negativeSlope), self))
    }
}
