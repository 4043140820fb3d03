import Autograd
import TensorCore

extension Op {
    /// Sum of squares Σ x² over axes. ONNX ReduceSumSquare 1...
    public struct ReduceSumSquare: ReductionOperator {
        public static let opType = "ReduceSumSquare"
        let attributes: ReductionAttributes

        public init(axes: [Int]? = nil, keepDims: Bool = true, noopWithEmptyAxes: Bool = false) {
            attributes = ReductionAttributes(axes: axes, keepDims: keepDims, isNoopWithoutAxes: noopWithEmptyAxes)
        }

        init(_ attributes: ReductionAttributes) { self.attributes = attributes }

        func reduce(_ x: Tensor, _ axes: [Int], keepDims: Bool) throws -> Tensor {
            try apply(Op.Mul(), x, x).summed(over: axes, keepDims: keepDims)
        }

        public static func samples() throws -> [OperatorSample] { reductionSamples() }
    }
}
