import Autograd
import TensorCore

extension Op {
    /// y = x for x > alpha, 0 otherwise. ONNX ThresholdedRelu 10... (alpha 1); `torch.threshold(x, alpha, 0)`.
    public struct ThresholdedRelu: PrimitiveOperator {
        public static let opType = "ThresholdedRelu"
        public var keepsImagesApart: Bool { true }
        public static let opsets = 10...OperatorSet.newest
        public var name: String { "Threshold" }
        let alpha: Double

        public init(alpha: Double = 1) { self.alpha = alpha }
        public init(_ node: NodeAttributes) throws { self.init(alpha: try node.float("alpha", default: 1)) }

        public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation { batch.aligned(output: output) }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] { try likeFirst(inputs) }

        private struct Function: ElementFunction {
            let alpha: Double
            func callAsFunction<T: FloatingScalar>(_ x: T) -> T { x <= T(alpha) ? 0 : x }
        }

        public func forward(_ inputs: [NDArray?]) throws -> [NDArray] {
            [try required(inputs, 0, "X").mapped(Function(alpha: alpha), Self.opType)]
        }

        public func saved(for needs: IndexSet64) -> SavedValues { SavedValues(inputs: 0) }

        public func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
            let rule = SlopeGradient(name: "ThresholdBackward", high: alpha, inside: 0, above: 1)
            return try [gradOutputs[0].map { try apply(rule, $0, context.input(0).detach()) }]
        }

        public static func samples() throws -> [OperatorSample] {
            [
                OperatorSample(
                    "both sides", Op.ThresholdedRelu(alpha: 0.5), [OperatorSample.values([3, 4])], differentiable: [0])
            ]
        }
    }
}
