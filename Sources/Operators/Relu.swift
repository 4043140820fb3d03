import Autograd
import TensorCore

extension Op {
    /// y = max(x, 0). ONNX Relu 1...; `torch.relu`. The gradient at 0 is 0, as in PyTorch.
    public struct Relu: PrimitiveOperator {
        public static let opType = "Relu"
        public var keepsImagesApart: Bool { true }

        public init() {}
        public init(_ node: NodeAttributes) throws {}

        public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation { batch.aligned(output: output) }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] {
            let x = try required(inputs, 0, "X")
            return [ValueInfo(x.dtype, x.shape)]
        }

        public func forward(_ inputs: [NDArray?]) throws -> [NDArray] { [try required(inputs, 0, "X").map(.relu)] }

        public func saved(for needs: IndexSet64) -> SavedValues { SavedValues(outputs: 0) }

        public func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
            guard let g = gradOutputs[0] else { return [nil] }
            return [try apply(ReluGradient(), g, context.output(0).detach())]
        }

        public static func samples() throws -> [OperatorSample] {
            [OperatorSample("signs", Op.Relu(), [OperatorSample.values([3, 4])], differentiable: [0])]
        }
    }
}

/// g where y > 0 or y is NaN, else 0: linear in g, and y only decides.
struct ReluGradient: DifferentiableFunction {
    let name = "ThresholdBackward"

    func forward(_ inputs: [NDArray?]) throws -> [NDArray] {
        guard let g = inputs[0], let y = inputs[1] else { return [] }
        return [try NDArray.reluGradient(g, output: y)]
    }

    func saved(for needs: IndexSet64) -> SavedValues { SavedValues(inputs: 1) }

    func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
        try [gradOutputs[0].map { try apply(ReluGradient(), $0, context.input(1)) }, nil]
    }
}

extension Tensor {
    /// max(x, 0), elementwise.
    public func relu() -> Tensor { checked(try apply(Op.Relu(), self)) }
}
