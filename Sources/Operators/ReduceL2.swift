import Autograd
import TensorCore

extension Op {
    /// Euclidean length √(Σ x²) over axes. ONNX ReduceL2 1...; `torch.linalg.vector_norm`. The gradient at 0 is 0.
    public struct ReduceL2: ReductionOperator {
        public static let opType = "ReduceL2"
        let attributes: ReductionAttributes

        public init(axes: [Int]? = nil, keepDims: Bool = true, noopWithEmptyAxes: Bool = false) {
            attributes = ReductionAttributes(axes: axes, keepDims: keepDims, isNoopWithoutAxes: noopWithEmptyAxes)
        }

        init(_ attributes: ReductionAttributes) { self.attributes = attributes }

        func reduce(_ x: Tensor, _ axes: [Int], keepDims: Bool) throws -> Tensor {
            try apply(LengthAlong(axes: axes, keepDims: keepDims), x)
        }

        public static func samples() throws -> [OperatorSample] { reductionSamples(in: -2...3) }
    }
}

private struct LengthAlong: DifferentiableFunction {
    let axes: [Int]
    let keepDims: Bool
    var name: String { "LinalgVectorNorm" }

    func forward(_ inputs: [NDArray?]) throws -> [NDArray] {
        try inputs.compactMap { x in
            guard let x else { return nil }
            let squares = try x.sumOfSquares(axes: axes, keepDims: keepDims)
            // The roots of integers are truncated to integers.
            return try squares.dtype.isFloatingPoint
                ? squares.map(.sqrt) : squares.converted(to: .float64).map(.sqrt).converted(to: x.dtype)
        }
    }

    func saved(for needs: IndexSet64) -> SavedValues { SavedValues(inputs: 0, outputs: 0) }

    func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
        guard let g = gradOutputs[0] else { return [nil] }
        let x = try context.input(0)
        let length = try context.output(0)
        let lengths = try length.restored(to: x.shape, axes: axes)
        let direction = Tensor.where(lengths .== 0, 0, x / lengths)
        return [try g.restored(to: x.shape, axes: axes) * direction]
    }
}

extension Tensor {
    /// Euclidean length over `dims` (all when nil). Source: `torch.linalg.vector_norm`.
    public func norm(dim dims: [Int]? = nil, keepdim: Bool = false) -> Tensor {
        checked(try apply(LengthAlong(axes: normalized(dims, "norm"), keepDims: keepdim), floating))
    }
}
