import Autograd
import TensorCore

extension Op {
    /// True where an element is NaN. ONNX IsNaN 9...; `torch.isnan`.
    public struct IsNaN: Operator {
        public static let opType = "IsNaN"
        public static let opsets = 9...OperatorSet.newest

        public init() {}
        public init(_ node: NodeAttributes) throws {}

        public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation { batch.aligned(output: output) }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] {
            [ValueInfo(.bool, try required(inputs, 0, "X").shape)]
        }

        public func forward(_ inputs: [NDArray?]) throws -> [NDArray] {
            let x = try required(inputs, 0, "X")
            return [try NDArray.compare(.notEqual, x, x)]
        }

        public static func samples() throws -> [OperatorSample] {
            [
                OperatorSample(
                    "special", Op.IsNaN(), [NDArray([1, Double.nan, Double.infinity, -Double.infinity])],
                    differentiable: [])
            ]
        }
    }
}

extension Tensor {
    /// True where an element is NaN. Source: `torch.isnan`.
    public func isNaN() -> Tensor { checked(try Op.IsNaN()([self])[0]) }
}
