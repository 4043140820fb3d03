import Autograd
import TensorCore

extension Op {
    /// y = gamma · x for x > 0, gamma · alpha · (eˣ - 1) otherwise: a self-normalising Elu.
    ///
    /// ONNX Selu 1... (before operator set 6 with constants of fewer digits); `torch.nn.functional.selu`.
    public struct Selu: CompositeOperator {
        public static let opType = "Selu"
        public var keepsImagesApart: Bool { true }
        let alpha: Double
        let gamma: Double

        public init(alpha: Double = 1.67326319217681884765625, gamma: Double = 1.05070102214813232421875) {
            self.alpha = alpha
            self.gamma = gamma
        }

        public init(_ node: NodeAttributes) throws {
            let newest = Op.Selu()
            alpha = try node.float("alpha", default: node.opset < 6 ? 1.6732 : newest.alpha)
            gamma = try node.float("gamma", default: node.opset < 6 ? 1.0507 : newest.gamma)
        }

        public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation { batch.aligned(output: output) }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] { try likeFirst(inputs) }

        public func expand(_ inputs: [Tensor?]) throws -> [Tensor] {
            [try exponentialLinear(required(inputs, 0, "X"), gamma: gamma, alpha: alpha)]
        }

        public static func samples() throws -> [OperatorSample] {
            [OperatorSample("signs", Op.Selu(), [OperatorSample.values([3, 4])], differentiable: [0])]
        }
    }
}

extension Tensor {
    /// The self-normalising Elu. Source: `torch.nn.functional.selu`.
    public func selu() -> Tensor {
        checked(
            try Op.Selu(alpha: 1.6732632423543772, gamma: 1.0507009873554805)([self])[0])
    }
}
