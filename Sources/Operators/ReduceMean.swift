import Autograd
import TensorCore

extension Op {
    /// Mean over axes. ONNX ReduceMean 1...; `torch.mean`.
    public struct ReduceMean: ReductionOperator {
        public static let opType = "ReduceMean"
        let attributes: ReductionAttributes

        public init(axes: [Int]? = nil, keepDims: Bool = true, noopWithEmptyAxes: Bool = false) {
            attributes = ReductionAttributes(axes: axes, keepDims: keepDims, isNoopWithoutAxes: noopWithEmptyAxes)
        }

        init(_ attributes: ReductionAttributes) { self.attributes = attributes }

        func reduce(_ x: Tensor, _ axes: [Int], keepDims: Bool) throws -> Tensor {
            try x.averaged(over: axes, keepDims: keepDims)
        }

        public static func samples() throws -> [OperatorSample] { reductionSamples() }
    }
}

/// The square root of a variance, whose gradient is 0 where that is 0, as PyTorch's.
private struct Deviation: DifferentiableFunction {
    var name: String { "Std" }
    func forward(_ inputs: [NDArray?]) throws -> [NDArray] { try inputs.compactMap { try $0?.map(.sqrt) } }
    func saved(for needs: IndexSet64) -> SavedValues { SavedValues(outputs: 0) }
    func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
        guard let g = gradOutputs[0] else { return [nil] }
        let y = try context.output(0)
        let isZero = y .== 0
        return [Tensor.where(isZero, 0, g / (Tensor.where(isZero, 1, y) * 2))]
    }
}

/// Mean over `axes`, distinct and in range.
struct MeanAlong: DifferentiableFunction {
    let axes: [Int]
    let keepDims: Bool
    /// True for a mean of everything, which PyTorch calls by another name.
    let isFull: Bool
    var name: String { "Mean" }
    var backwardName: String { isFull ? "MeanBackward0" : "MeanBackward1" }

    func forward(_ inputs: [NDArray?]) throws -> [NDArray] {
        try inputs.compactMap { try $0?.mean(axes: axes, keepDims: keepDims) }
    }
    func saved(for needs: IndexSet64) -> SavedValues { .none }
    func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
        guard let g = gradOutputs[0] else { return [nil] }
        let shape = context.inputShape(0)
        let count = axes.reduce(1) { $0 * shape[$1] }
        return [try (g / Double(count)).restored(to: shape, axes: axes)]
    }
}

extension Tensor {
    func averaged(over axes: [Int], keepDims: Bool, isFull: Bool = false) throws -> Tensor {
        axes.isEmpty && !isFull ? self : try apply(MeanAlong(axes: axes, keepDims: keepDims, isFull: isFull), self)
    }

    /// Mean of all elements. Source: `torch.mean`.
    public func mean() -> Tensor {
        checked(try floating.averaged(over: Array(0..<rank), keepDims: false, isFull: true))
    }

    /// Mean over `dims`, each counted from the end when negative. Source: `torch.mean`.
    public func mean(dim dims: [Int], keepdim: Bool = false) -> Tensor {
        checked(try floating.averaged(over: normalized(dims, "mean"), keepDims: keepdim))
    }
    public func mean(dim: Int, keepdim: Bool = false) -> Tensor { mean(dim: [dim], keepdim: keepdim) }

    /// Variance over `dims` (all when nil): Σ (x − mean)² / (n − correction). Source: `torch.var`.
    public func `var`(dim dims: [Int]? = nil, correction: Int = 1, keepdim: Bool = false) -> Tensor {
        let axes = checked(try normalized(dims, "var"))
        let count = axes.reduce(1) { $0 * shape[$1] }
        let centered = self - checked(try averaged(over: axes, keepDims: true))
        return centered.square().sum(dim: axes, keepdim: keepdim) / Double(Swift.max(0, count - correction))
    }
    public func `var`(dim: Int, correction: Int = 1, keepdim: Bool = false) -> Tensor {
        self.var(dim: [dim], correction: correction, keepdim: keepdim)
    }

    /// Standard deviation over `dims` (all when nil): the square root of `var`. Source: `torch.std`.
    public func std(dim dims: [Int]? = nil, correction: Int = 1, keepdim: Bool = false) -> Tensor {
        checked(try apply(Deviation(), self.var(dim: dims, correction: correction, keepdim: keepdim)))
    }
    public func std(dim: Int, correction: Int = 1, keepdim: Bool = false) -> Tensor {
        std(dim: [dim], correction: correction, keepdim: keepdim)
    }
}
