import Autograd
import TensorCore

extension Op {
    /// The elements of the first input in the type of the second. ONNX CastLike 15...
    public struct CastLike: CompositeOperator {
        public static let opType = "CastLike"
        public static var maximumInputs: Int { 2 }
        public static let opsets = 15...OperatorSet.newest

        public init() {}
        public init(_ node: NodeAttributes) throws {}

        public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation { batch.aligned(output: output) }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] {
            [ValueInfo(try required(inputs, 1, "target_type").dtype, try required(inputs, 0, "input").shape)]
        }

        public func expand(_ inputs: [Tensor?]) throws -> [Tensor] {
            try Op.Cast(to: required(inputs, 1, "target_type").dtype).expand([required(inputs, 0, "input")])
        }

        public static func samples() throws -> [OperatorSample] {
            let x = OperatorSample.values([2, 3])
            return [
                OperatorSample("same", Op.CastLike(), [x, NDArray(scalar: 1.0)], differentiable: [0]),
                OperatorSample("integer", Op.CastLike(), [x, NDArray(scalar: 1)], differentiable: []),
            ]
        }
    }
}
