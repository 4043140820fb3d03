import Autograd
import TensorCore

extension Op {
    /// Product over axes. ONNX ReduceProd 1...; `torch.prod`.
    ///
    /// Computed as a tree of products of halves, so that the gradient is right where elements are zero.
    public struct ReduceProd: ReductionOperator {
        public static let opType = "ReduceProd"
        let attributes: ReductionAttributes

        public init(axes: [Int]? = nil, keepDims: Bool = true, noopWithEmptyAxes: Bool = false) {
            attributes = ReductionAttributes(axes: axes, keepDims: keepDims, isNoopWithoutAxes: noopWithEmptyAxes)
        }

        init(_ attributes: ReductionAttributes) { self.attributes = attributes }

        func reduce(_ x: Tensor, _ axes: [Int], keepDims: Bool) throws -> Tensor {
            guard !axes.isEmpty else { return x }
            // The reduced axes first, as one.
            let kept = (0..<x.rank).filter { !axes.contains($0) }
            var product = try x.permuted(axes + kept)
            product = try product.reshaped([axes.reduce(1) { $0 * x.shape[$1] }] + kept.map { x.shape[$0] })
            let shape = reducedShape(x.shape, axes, keepDims: keepDims)
            if product.shape[0] == 0 {
                try requireAllocatable(shape, x.dtype, Self.opType)
                return Tensor(NDArray.ones(shape, dtype: x.dtype))
            }
            var leftOver: Tensor?
            while product.shape[0] > 1 {
                let (count, half) = (product.shape[0], product.shape[0] / 2)
                if count % 2 == 1 {
                    let last = try product.sliced([count - 1], [count], [0])
                    leftOver = try leftOver.map { try apply(Op.Mul(), $0, last) } ?? last
                }
                product = try apply(Op.Mul(), product.sliced([0], [half], [0]), product.sliced([half], [2 * half], [0]))
            }
            if let leftOver { product = try apply(Op.Mul(), product, leftOver) }
            return try product.reshaped(shape)
        }

        public static func samples() throws -> [OperatorSample] {
            let zeros = NDArray([2.0, 0, 3, 0, 1, 0, 4, 5, 6.0], shape: [3, 3])
            return reductionSamples() + [
                OperatorSample("zeros", Op.ReduceProd(axes: [1]), [zeros], differentiable: [0]),
                OperatorSample(
                    "empty", Op.ReduceProd(axes: [1]), [.zeros([2, 0], dtype: .float64)], differentiable: []),
            ]
        }
    }
}

extension Tensor {
    /// Product of all elements. Source: `torch.prod`.
    public func prod() -> Tensor { checked(try Op.ReduceProd().reduce(self, Array(0..<rank), keepDims: false)) }

    /// Product over `dim`. Source: `torch.prod`.
    public func prod(dim: Int, keepdim: Bool = false) -> Tensor {
        checked(try Op.ReduceProd().reduce(self, normalized([dim], "prod"), keepDims: keepdim))
    }
}
