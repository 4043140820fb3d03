import Autograd
import TensorCore

extension Op {
    /// y = x / (1 + |x|). ONNX Softsign 1...; `torch.nn.functional.softsign`.
    public struct Softsign: CompositeOperator {
        public static let opType = "Softsign"
        public var keepsImagesApart: Bool { true }

        public init() {}
        public init(_ node: NodeAttributes) throws {}

        public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation { batch.aligned(output: output) }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] { try likeFirst(inputs) }

        public func expand(_ inputs: [Tensor?]) throws -> [Tensor] {
            let x = try required(inputs, 0, "X")
            let divisor: Tensor = try apply(Op.Add(), apply(Op.Abs(), x), .literal(1, dtype: x.dtype))
            return [try apply(Op.Div(), x, divisor)]
        }

        public static func samples() throws -> [OperatorSample] {
            [OperatorSample("signs", Op.Softsign(), [OperatorSample.values([3, 4])], differentiable: [0])]
        }
    }
}

extension Tensor {
    /// x / (1 + |x|), elementwise. Source: `torch.nn.functional.softsign`.
    public func softsign() -> Tensor { checked(try Op.Softsign()([self])[0]) }
}
