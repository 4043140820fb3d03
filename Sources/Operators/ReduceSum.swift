import Autograd
import TensorCore

extension Op {
    /// Sum over axes. ONNX ReduceSum 1...; `torch.sum`.
    public struct ReduceSum: ReductionOperator {
        public static let opType = "ReduceSum"
        let attributes: ReductionAttributes

        public init(axes: [Int]? = nil, keepDims: Bool = true, noopWithEmptyAxes: Bool = false) {
            attributes = ReductionAttributes(axes: axes, keepDims: keepDims, isNoopWithoutAxes: noopWithEmptyAxes)
        }

        init(_ attributes: ReductionAttributes) { self.attributes = attributes }

        func reduce(_ x: Tensor, _ axes: [Int], keepDims: Bool) throws -> Tensor {
            try x.summed(over: axes, keepDims: keepDims)
        }

        public static func samples() throws -> [OperatorSample] {
            reductionSamples() + [
                OperatorSample(
                    "empty", Op.ReduceSum(axes: [1]), [.zeros([2, 0], dtype: .float64)], differentiable: [0]),
                OperatorSample("integers", Op.ReduceSum(), [NDArray([1, 2, 3])], differentiable: []),
            ]
        }
    }
}

/// Sum over `axes`, distinct and in range.
struct SumAlong: DifferentiableFunction {
    let axes: [Int]
    let keepDims: Bool
    /// True for a sum of everything, which PyTorch calls by another name.
    let isFull: Bool
    var name: String { "Sum" }
    var backwardName: String { isFull ? "SumBackward0" : "SumBackward1" }

    func forward(_ inputs: [NDArray?]) throws -> [NDArray] {
        try inputs.compactMap { try $0?.sum(axes: axes, keepDims: keepDims) }
    }
    func saved(for needs: IndexSet64) -> SavedValues { .none }
    func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
        [try gradOutputs[0]?.restored(to: context.inputShape(0), axes: axes)]
    }
}

extension Tensor {
    func summed(over axes: [Int], keepDims: Bool, isFull: Bool = false) throws -> Tensor {
        axes.isEmpty && !isFull ? self : try apply(SumAlong(axes: axes, keepDims: keepDims, isFull: isFull), self)
    }

    /// Integers and bool are added up as `int64`.
    private var summable: Tensor { dtype.isFloatingPoint || dtype == .int64 ? self : to(.int64) }

    /// Sum of all elements. Source: `torch.sum`.
    public func sum() -> Tensor { checked(try summable.summed(over: Array(0..<rank), keepDims: false, isFull: true)) }

    /// Sum over `dims`, each counted from the end when negative. Source: `torch.sum`.
    public func sum(dim dims: [Int], keepdim: Bool = false) -> Tensor {
        checked(try summable.summed(over: normalized(dims, "sum"), keepDims: keepdim))
    }
    public func sum(dim: Int, keepdim: Bool = false) -> Tensor { sum(dim: [dim], keepdim: keepdim) }
}
