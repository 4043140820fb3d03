import Autograd
import TensorCore

extension Op {
    /// y = x: the same tensor, history and all. ONNX Identity 1...
    public struct Identity: CompositeOperator {
        public static let opType = "Identity"
        public var keepsImagesApart: Bool { true }

        public init() {}
        public init(_ node: NodeAttributes) throws {}

        public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation { batch.aligned(output: output) }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] { [try required(inputs, 0, "input")] }

        public func forward(_ inputs: [NDArray?]) throws -> [NDArray] { [try required(inputs, 0, "input")] }

        public func expand(_ inputs: [Tensor?]) throws -> [Tensor] { [try required(inputs, 0, "input")] }

        public static func samples() throws -> [OperatorSample] {
            [OperatorSample("any", Op.Identity(), [OperatorSample.values([2, 3])], differentiable: [0])]
        }
    }
}
