import Autograd
import TensorCore

extension Op {
    /// ln Σ x over axes. ONNX ReduceLogSum 1...
    public struct ReduceLogSum: ReductionOperator {
        public static let opType = "ReduceLogSum"
        let attributes: ReductionAttributes

        public init(axes: [Int]? = nil, keepDims: Bool = true, noopWithEmptyAxes: Bool = false) {
            attributes = ReductionAttributes(axes: axes, keepDims: keepDims, isNoopWithoutAxes: noopWithEmptyAxes)
        }

        init(_ attributes: ReductionAttributes) { self.attributes = attributes }

        func reduce(_ x: Tensor, _ axes: [Int], keepDims: Bool) throws -> Tensor {
            try apply(Op.Log(), x.summed(over: axes, keepDims: keepDims))
        }

        public static func samples() throws -> [OperatorSample] { reductionSamples(in: 0.3...2) }
    }
}
