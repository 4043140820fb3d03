import Autograd
import TensorCore

extension Op {
    /// y = x · hardsigmoid(x), that is x · min(max(x / 6 + 1/2, 0), 1). ONNX HardSwish 14...;
    /// `torch.nn.functional.hardswish`.
    public struct HardSwish: CompositeOperator {
        public static let opType = "HardSwish"
        public var keepsImagesApart: Bool { true }
        public static let opsets = 14...OperatorSet.newest

        public init() {}
        public init(_ node: NodeAttributes) throws {}

        public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation { batch.aligned(output: output) }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] { try likeFirst(inputs) }

        private struct Function: ElementFunction {
            let gate = Op.HardSigmoid.Function(alpha: 1.0 / 6, beta: 0.5)
            func callAsFunction<T: FloatingScalar>(_ x: T) -> T { x * gate(x) }
        }

        /// One pass over the elements; the same arithmetic as `expand`.
        public func forward(_ inputs: [NDArray?]) throws -> [NDArray] {
            [try required(inputs, 0, "X").mapped(Function(), Self.opType)]
        }

        public func expand(_ inputs: [Tensor?]) throws -> [Tensor] {
            let x = try required(inputs, 0, "X")
            return [try apply(Op.Mul(), x, apply(Op.HardSigmoid(alpha: 1.0 / 6), x))]
        }

        public static func samples() throws -> [OperatorSample] {
            [
                OperatorSample(
                    "all pieces", Op.HardSwish(), [OperatorSample.values([3, 5], in: -4.5...4.5)], differentiable: [0])
            ]
        }
    }
}

extension Tensor {
    /// x · hardsigmoid(x). Source: `torch.nn.functional.hardswish`.
    public func hardswish() -> Tensor { checked(try Op.HardSwish()([self])[0]) }
}
