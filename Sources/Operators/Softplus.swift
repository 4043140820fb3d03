import Autograd
import TensorCore

extension Op {
    /// y = log(1 + eˣ). ONNX Softplus 1...; `torch.nn.functional.softplus`.
    public struct Softplus: PrimitiveOperator {
        public static let opType = "Softplus"
        public var keepsImagesApart: Bool { true }

        public init() {}
        public init(_ node: NodeAttributes) throws {}

        public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation { batch.aligned(output: output) }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] { try likeFirst(inputs) }

        public func forward(_ inputs: [NDArray?]) throws -> [NDArray] { [try required(inputs, 0, "X").map(.softplus)] }

        public func saved(for needs: IndexSet64) -> SavedValues { SavedValues(inputs: 0) }

        public func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
            try [gradOutputs[0].map { try apply(Op.Mul(), $0, apply(Op.Sigmoid(), context.input(0))) }]
        }

        public static func samples() throws -> [OperatorSample] {
            [OperatorSample("signs", Op.Softplus(), [OperatorSample.values([3, 4])], differentiable: [0])]
        }
    }
}

extension Tensor {
    /// log(1 + eˣ), elementwise. Source: `torch.nn.functional.softplus`.
    public func softplus() -> Tensor { checked(try apply(Op.Softplus(), self)) }
}
