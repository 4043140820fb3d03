import Autograd
import TensorCore

extension Op {
    /// ln Σ eˣ over axes, overflow-free. ONNX ReduceLogSumExp 1...; `torch.logsumexp`.
    public struct ReduceLogSumExp: ReductionOperator {
        public static let opType = "ReduceLogSumExp"
        let attributes: ReductionAttributes

        public init(axes: [Int]? = nil, keepDims: Bool = true, noopWithEmptyAxes: Bool = false) {
            attributes = ReductionAttributes(axes: axes, keepDims: keepDims, isNoopWithoutAxes: noopWithEmptyAxes)
        }

        init(_ attributes: ReductionAttributes) { self.attributes = attributes }

        func reduce(_ x: Tensor, _ axes: [Int], keepDims: Bool) throws -> Tensor {
            try apply(LogSumExpAlong(axes: axes, keepDims: keepDims), x)
        }

        public static func samples() throws -> [OperatorSample] {
            let large = OperatorSample.values([2, 3], in: 900...903)
            return reductionSamples() + [
                OperatorSample("large", Op.ReduceLogSumExp(axes: [1]), [large], differentiable: [0])
            ]
        }
    }
}

private struct LogSumExpAlong: DifferentiableFunction {
    let axes: [Int]
    let keepDims: Bool
    var name: String { "Logsumexp" }

    func forward(_ inputs: [NDArray?]) throws -> [NDArray] {
        guard let x = inputs[0] else { return [] }
        let shape = reducedShape(x.shape, axes, keepDims: keepDims)
        guard x.count > 0 else {
            try requireAllocatable(shape, x.dtype, name)
            return [.full(shape, -.infinity, dtype: x.dtype)]
        }
        if !x.dtype.isFloatingPoint {
            return try forward([x.converted(to: .float64)]).map { $0.converted(to: x.dtype) }
        }
        // Infinite maxima are not subtracted: ∞ − ∞ has no value.
        let largest = try x.max(axes: axes, keepDims: true)
        let limit = Double(Float.greatestFiniteMagnitude)
        let shift = try largest.clamped(min: -limit, max: limit)
        let sum = try NDArray.binary(.sub, x, shift).map(.exp).sum(axes: axes, keepDims: true)
        return [try NDArray.binary(.add, sum.map(.log), shift).reshaped(shape)]
    }

    func saved(for needs: IndexSet64) -> SavedValues { SavedValues(inputs: 0, outputs: 0) }

    func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
        guard let g = gradOutputs[0] else { return [nil] }
        let x = try context.input(0)
        let y = try context.output(0).restored(to: x.shape, axes: axes)
        return [try g.restored(to: x.shape, axes: axes) * (x - y).exp()]
    }
}

extension Tensor {
    /// ln Σ eˣ over `dims`. Source: `torch.logsumexp`.
    public func logsumexp(dim dims: [Int], keepdim: Bool = false) -> Tensor {
        checked(try apply(LogSumExpAlong(axes: normalized(dims, "logsumexp"), keepDims: keepdim), floating))
    }
    public func logsumexp(dim: Int, keepdim: Bool = false) -> Tensor { logsumexp(dim: [dim], keepdim: keepdim) }
}
