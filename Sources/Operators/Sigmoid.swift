import Autograd
import TensorCore

extension Op {
    /// y = 1 / (1 + e⁻ˣ). ONNX Sigmoid 1...; `torch.sigmoid`.
    public struct Sigmoid: PrimitiveOperator {
        public static let opType = "Sigmoid"
        public var keepsImagesApart: Bool { true }

        public init() {}
        public init(_ node: NodeAttributes) throws {}

        public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation { batch.aligned(output: output) }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] { try likeFirst(inputs) }

        public func forward(_ inputs: [NDArray?]) throws -> [NDArray] { [try required(inputs, 0, "X").map(.sigmoid)] }

        public func saved(for needs: IndexSet64) -> SavedValues { SavedValues(outputs: 0) }

        public func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
            guard let g = gradOutputs[0] else { return [nil] }
            let y = try context.output(0)
            return [g * (y * (1.0 - y))]
        }

        public static func samples() throws -> [OperatorSample] {
            [OperatorSample("signs", Op.Sigmoid(), [OperatorSample.values([3, 4])], differentiable: [0])]
        }
    }
}

extension Tensor {
    /// 1 / (1 + e⁻ˣ), elementwise.
    public func sigmoid() -> Tensor { checked(try apply(Op.Sigmoid(), self)) }

    /// x · sigmoid(x), elementwise: also called swish. Source: `torch.nn.functional.silu`.
    public func silu() -> Tensor { self * sigmoid() }
}
