import Autograd
import TensorCore

extension Op {
    /// The largest element along axes. ONNX ReduceMax 1...; `torch.amax`. Equal ones share the gradient evenly.
    public struct ReduceMax: ReductionOperator {
        public static let opType = "ReduceMax"
        let attributes: ReductionAttributes

        public init(axes: [Int]? = nil, keepDims: Bool = true, noopWithEmptyAxes: Bool = false) {
            attributes = ReductionAttributes(axes: axes, keepDims: keepDims, isNoopWithoutAxes: noopWithEmptyAxes)
        }

        init(_ attributes: ReductionAttributes) { self.attributes = attributes }

        func reduce(_ x: Tensor, _ axes: [Int], keepDims: Bool) throws -> Tensor {
            try apply(ExtremeAlong(isLargest: true, axes: axes, keepDims: keepDims), x)
        }

        public static func samples() throws -> [OperatorSample] {
            let ties = NDArray([1.0, 3, 3, 1, 0, 2, 2, 0], shape: [2, 4])
            return reductionSamples() + [
                OperatorSample("ties", Op.ReduceMax(axes: [1]), [ties], differentiable: [0], order: 1),
                OperatorSample("integers", Op.ReduceMax(), [NDArray([3, -7, 5])], differentiable: []),
            ]
        }
    }
}

extension Tensor {
    /// The largest element over `dims` (all when nil); equal ones share the gradient evenly. Source: `torch.amax`.
    public func amax(dim dims: [Int]? = nil, keepdim: Bool = false) -> Tensor {
        checked(try amaxOrAmin(isLargest: true, dims, keepDims: keepdim))
    }

    /// The largest of all elements; equal ones share the gradient evenly. Source: `torch.max`.
    public func max() -> Tensor {
        checked(try amaxOrAmin(isLargest: true, nil, keepDims: false, findsNaN: true))
    }

    /// The largest elements along `dim` and their indices; the gradient goes to those. Source: `torch.max` with `dim`.
    public func max(dim: Int, keepdim: Bool = false) -> (values: Tensor, indices: Tensor) {
        checked(try extremes(isLargest: true, dim: dim, keepDims: keepdim))
    }
}
