import Autograd
import TensorCore

extension Op {
    /// y = tanh(x). ONNX Tanh 1...; `torch.tanh`.
    public struct Tanh: PrimitiveOperator {
        public static let opType = "Tanh"
        public var keepsImagesApart: Bool { true }

        public init() {}
        public init(_ node: NodeAttributes) throws {}

        public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation { batch.aligned(output: output) }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] { try likeFirst(inputs) }

        public func forward(_ inputs: [NDArray?]) throws -> [NDArray] { [try required(inputs, 0, "X").map(.tanh)] }

        public func saved(for needs: IndexSet64) -> SavedValues { SavedValues(outputs: 0) }

        public func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
            guard let g = gradOutputs[0] else { return [nil] }
            let y = try context.output(0)
            return [g * (1.0 - y * y)]
        }

        public static func samples() throws -> [OperatorSample] {
            [OperatorSample("signs", Op.Tanh(), [OperatorSample.values([3, 4])], differentiable: [0])]
        }
    }
}

extension Tensor {
    /// The hyperbolic tangent, elementwise.
    public func tanh() -> Tensor { checked(try apply(Op.Tanh(), self)) }
}
