import Autograd
import TensorCore

extension Op {
    /// The smallest element along axes. ONNX ReduceMin 1...; `torch.amin`. Equal ones share the gradient evenly.
    public struct ReduceMin: ReductionOperator {
        public static let opType = "ReduceMin"
        let attributes: ReductionAttributes

        public init(axes: [Int]? = nil, keepDims: Bool = true, noopWithEmptyAxes: Bool = false) {
            attributes = ReductionAttributes(axes: axes, keepDims: keepDims, isNoopWithoutAxes: noopWithEmptyAxes)
        }

        init(_ attributes: ReductionAttributes) { self.attributes = attributes }

        func reduce(_ x: Tensor, _ axes: [Int], keepDims: Bool) throws -> Tensor {
            try apply(ExtremeAlong(isLargest: false, axes: axes, keepDims: keepDims), x)
        }

        public static func samples() throws -> [OperatorSample] {
            let ties = NDArray([1.0, 3, 3, 1, 0, 2, 2, 0], shape: [2, 4])
            return reductionSamples() + [
                OperatorSample("ties", Op.ReduceMin(axes: [1]), [ties], differentiable: [0], order: 1),
                OperatorSample("integers", Op.ReduceMin(), [NDArray([3, -7, 5])], differentiable: []),
            ]
        }
    }
}

extension Tensor {
    /// The smallest element over `dims` (all when nil); equal ones share the gradient evenly. Source: `torch.amin`.
    public func amin(dim dims: [Int]? = nil, keepdim: Bool = false) -> Tensor {
        checked(try amaxOrAmin(isLargest: false, dims, keepDims: keepdim))
    }

    /// The smallest of all elements; equal ones share the gradient evenly. Source: `torch.min`.
    public func min() -> Tensor {
        checked(try amaxOrAmin(isLargest: false, nil, keepDims: false, findsNaN: true))
    }

    /// The smallest elements along `dim` and their indices; the gradient goes to those. Source: `torch.min` with `dim`.
    public func min(dim: Int, keepdim: Bool = false) -> (values: Tensor, indices: Tensor) {
        checked(try extremes(isLargest: false, dim: dim, keepDims: keepdim))
    }
}
