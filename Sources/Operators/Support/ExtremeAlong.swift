import Autograd
import TensorCore

/// The largest or smallest element over `axes`, distinct and in range; equal ones share the gradient evenly.
struct ExtremeAlong: DifferentiableFunction {
    let isLargest: Bool
    let axes: [Int]
    let keepDims: Bool
    /// Where the result is NaN the gradient goes to the NaNs, as of `torch.max`; otherwise nowhere sensible, as of `torch.amax`.
    var findsNaN = false
    var name: String { isLargest ? "Amax" : "Amin" }

    func forward(_ inputs: [NDArray?]) throws -> [NDArray] {
        try inputs.compactMap { x in
            guard let x else { return nil }
            if axes.isEmpty { return x }
            if x.count == 0 { return try overNothing(x) }
            return try isLargest ? x.max(axes: axes, keepDims: keepDims) : x.min(axes: axes, keepDims: keepDims)
        }
    }

    /// The neutral element, where an axis without elements is reduced.
    private func overNothing(_ x: NDArray) throws -> NDArray {
        let value =
            x.dtype.isFloatingPoint || x.dtype == .bool
            ? (isLargest ? -Double.infinity : .infinity)
            : (isLargest ? -Double.greatestFiniteMagnitude : .greatestFiniteMagnitude)
        let bounded = x.dtype == .bool ? (isLargest ? 0 : 1) : value
        let shape = reducedShape(x.shape, axes, keepDims: keepDims)
        try requireAllocatable(shape, x.dtype, name)
        return .full(shape, bounded, dtype: x.dtype)
    }

    func saved(for needs: IndexSet64) -> SavedValues { SavedValues(inputs: 0, outputs: 0) }

    func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
        guard let g = gradOutputs[0] else { return [nil] }
        let x = try context.input(0).array
        let kept = reducedShape(x.shape, axes, keepDims: true)
        var matches = try NDArray.compare(.equal, x, context.output(0).array.reshaped(kept))
        if findsNaN, x.dtype.isFloatingPoint {
            // No other element than NaN differs from itself.
            matches = try NDArray.select(NDArray.compare(.equal, x, x), matches, .full([], 1, dtype: .bool))
        }
        let isExtreme = matches.converted(to: x.dtype)
        let share = try NDArray.binary(.div, isExtreme, isExtreme.sum(axes: axes, keepDims: true))
        return [try g.restored(to: x.shape, axes: axes) * Tensor(share)]
    }
}

/// The extreme elements along one axis with their indices; the gradient goes to those alone.
private struct IndexedExtremes: DifferentiableFunction {
    let isLargest: Bool
    let axis: Int
    let keepDims: Bool
    var name: String { isLargest ? "Max" : "Min" }

    func forward(_ inputs: [NDArray?]) throws -> [NDArray] {
        guard let x = inputs[0] else { return [] }
        let indices = try isLargest ? x.argMax(axis: axis, keepDims: true) : x.argMin(axis: axis, keepDims: true)
        let values = try x.gatherElements(indices, axis: axis)
        let shape = reducedShape(x.shape, [axis], keepDims: keepDims)
        return [values.reshaped(shape), indices.reshaped(shape)]
    }

    func saved(for needs: IndexSet64) -> SavedValues { SavedValues(outputs: 1) }

    func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
        guard let g = gradOutputs[0] else { return [nil] }
        let shape = context.inputShape(0)
        let kept = reducedShape(shape, [axis], keepDims: true)
        let map = ElementGather(indices: try context.output(1).array.reshaped(kept), axis: axis)
        return [try apply(Adjoint(map: map, inputShape: shape), g.reshaped(kept))]
    }
}

extension Tensor {
    /// The extreme over `dims` (all when nil). Unlike ONNX's reductions those of tensors refuse an axis without elements.
    func amaxOrAmin(isLargest: Bool, _ dims: [Int]?, keepDims: Bool, findsNaN: Bool = false) throws -> Tensor {
        let name = isLargest ? "amax" : "amin"
        let axes = try normalized(dims, name)
        if dims == nil ? count == 0 : axes.contains(where: { shape[$0] == 0 }) {
            throw ShapeError(name, "nothing has no \(isLargest ? "largest" : "smallest") element: shape is \(shape)")
        }
        return try apply(
            ExtremeAlong(isLargest: isLargest, axes: axes, keepDims: keepDims, findsNaN: findsNaN), self)
    }

    func extremes(isLargest: Bool, dim: Int, keepDims: Bool) throws -> (values: Tensor, indices: Tensor) {
        let axis = try normalized([dim], isLargest ? "max" : "min")[0]
        let function = IndexedExtremes(isLargest: isLargest, axis: axis, keepDims: keepDims)
        let results = try apply(function, [self])
        return (results[0], results[1])
    }
}
