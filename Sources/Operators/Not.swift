import Autograd
import TensorCore

extension Op {
    /// Elementwise "not" of a bool operand. ONNX Not 1...; `torch.logical_not`.
    public struct Not: Operator {
        public static let opType = "Not"

        public init() {}
        public init(_ node: NodeAttributes) throws {}

        public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation { batch.aligned(output: output) }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] {
            [ValueInfo(.bool, try required(inputs, 0, "X").shape)]
        }

        public func forward(_ inputs: [NDArray?]) throws -> [NDArray] { [try required(inputs, 0, "X").logicalNot()] }

        public static func samples() throws -> [OperatorSample] {
            [OperatorSample("both", Op.Not(), [NDArray([true, false])], differentiable: [])]
        }
    }
}

extension Tensor {
    /// Elementwise "not" of a bool tensor.
    public static prefix func .! (x: Tensor) -> Tensor { checked(try Op.Not()([x])[0]) }
}
