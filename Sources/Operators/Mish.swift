import Autograd
import TensorCore

extension Op {
    /// y = x · tanh(softplus(x)). ONNX Mish 18...; `torch.nn.functional.mish`.
    public struct Mish: CompositeOperator {
        public static let opType = "Mish"
        public var keepsImagesApart: Bool { true }
        public static let opsets = 18...OperatorSet.newest

        public init() {}
        public init(_ node: NodeAttributes) throws {}

        public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation { batch.aligned(output: output) }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] { try likeFirst(inputs) }

        public func expand(_ inputs: [Tensor?]) throws -> [Tensor] {
            let x = try required(inputs, 0, "X")
            let softplus: Tensor = try apply(Op.Softplus(), x)
            return [try apply(Op.Mul(), x, apply(Op.Tanh(), softplus))]
        }

        public static func samples() throws -> [OperatorSample] {
            [OperatorSample("signs", Op.Mish(), [OperatorSample.values([3, 4])], differentiable: [0])]
        }
    }
}

extension Tensor {
    /// x · tanh(softplus(x)), elementwise. Source: `torch.nn.functional.mish`.
    public func mish() -> Tensor { checked(try Op.Mish()([self])[0]) }
}
