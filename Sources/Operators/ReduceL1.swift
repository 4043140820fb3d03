import Autograd
import TensorCore

extension Op {
    /// Sum of absolute values Σ |x| over axes. ONNX ReduceL1 1...; `torch.norm` with p = 1.
    public struct ReduceL1: ReductionOperator {
        public static let opType = "ReduceL1"
        let attributes: ReductionAttributes

        public init(axes: [Int]? = nil, keepDims: Bool = true, noopWithEmptyAxes: Bool = false) {
            attributes = ReductionAttributes(axes: axes, keepDims: keepDims, isNoopWithoutAxes: noopWithEmptyAxes)
        }

        init(_ attributes: ReductionAttributes) { self.attributes = attributes }

        func reduce(_ x: Tensor, _ axes: [Int], keepDims: Bool) throws -> Tensor {
            try apply(Op.Abs(), x).summed(over: axes, keepDims: keepDims)
        }

        public static func samples() throws -> [OperatorSample] { reductionSamples() }
    }
}
