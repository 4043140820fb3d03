import Autograd
import TensorCore

extension Op {
    /// y = x for x > 0, alpha · (e^(x / alpha) - 1) otherwise. ONNX Celu 12... (alpha 1); `torch.nn.functional.celu`.
    public struct Celu: CompositeOperator {
        public static let opType = "Celu"
        public var keepsImagesApart: Bool { true }
        public static let opsets = 12...OperatorSet.newest
        let alpha: Double

        public init(alpha: Double = 1) { self.alpha = alpha }
        public init(_ node: NodeAttributes) throws {
            alpha = try node.float("alpha", default: 1)
            guard alpha != 0 else { throw node.unsupported("alpha", "must not be 0") }
        }

        public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation { batch.aligned(output: output) }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] { try likeFirst(inputs) }

        public func expand(_ inputs: [Tensor?]) throws -> [Tensor] {
            [try exponentialLinear(required(inputs, 0, "X"), alpha: alpha, width: alpha)]
        }

        public static func samples() throws -> [OperatorSample] {
            [OperatorSample("signs", Op.Celu(alpha: 2), [OperatorSample.values([3, 4])], differentiable: [0])]
        }
    }
}

extension Tensor {
    /// x for x > 0, alpha · (e^(x / alpha) - 1) otherwise. Source: `torch.nn.functional.celu`.
    public func celu(alpha: Double = 1) -> Tensor { checked(try Op.Celu(alpha: alpha)([self])[0]) }
}
