import Autograd
import TensorCore

extension Op {
    /// y = x for x > 0, alpha · (eˣ - 1) otherwise. ONNX Elu 1... (alpha 1); `torch.nn.functional.elu`.
    public struct Elu: CompositeOperator {
        public static let opType = "Elu"
        public var keepsImagesApart: Bool { true }
        let alpha: Double

        public init(alpha: Double = 1) { self.alpha = alpha }
        public init(_ node: NodeAttributes) throws { self.init(alpha: try node.float("alpha", default: 1)) }

        public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation { batch.aligned(output: output) }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] { try likeFirst(inputs) }

        public func expand(_ inputs: [Tensor?]) throws -> [Tensor] {
            [try exponentialLinear(required(inputs, 0, "X"), alpha: alpha)]
        }

        public static func samples() throws -> [OperatorSample] {
            [OperatorSample("signs", Op.Elu(alpha: 1.5), [OperatorSample.values([3, 4])], differentiable: [0])]
        }
    }
}

extension Tensor {
    /// x for x > 0, alpha · (eˣ - 1) otherwise. Source: `torch.nn.functional.elu`.
    public func elu(alpha: Double = 1) -> Tensor { checked(try exponentialLinear(self, alpha: alpha)) }
}
