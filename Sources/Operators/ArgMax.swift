import Autograd
import TensorCore

extension Op {
    /// Index of the largest element along an axis; of equal ones the first, or the last. ONNX ArgMax 1...; `torch.argmax`.
    public struct ArgMax: ArgOperator {
        public static let opType = "ArgMax"
        let attributes: ArgAttributes

        public init(axis: Int = 0, keepDims: Bool = true, selectLast: Bool = false) {
            self.init(ArgAttributes(axis: axis, keepDims: keepDims, selectLast: selectLast))
        }
        init(_ attributes: ArgAttributes) { self.attributes = attributes }

        func indices(_ x: NDArray) throws -> NDArray {
            try x.argMax(
                axis: attributes.axis, keepDims: attributes.keepDims, selectLast: attributes.selectLast)
        }
    }
}

extension Tensor {
    /// Index of the largest element along `dim`, or of all when nil; the first of equal ones. Source: `torch.argmax`.
    public func argmax(dim: Int? = nil, keepdim: Bool = false) -> Tensor {
        let x = dim == nil ? array.reshaped([count]) : array
        return Tensor(checked(try x.argMax(axis: dim ?? 0, keepDims: dim != nil && keepdim)))
    }
}
