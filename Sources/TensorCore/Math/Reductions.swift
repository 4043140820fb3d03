import CKernels

extension NDArray {
    /// Sum over `axes`; 0 over nothing. Floats accumulate in `float64`, integers wrap, `bool` counts as `int64`.
    public func sum(axes: [Int], keepDims: Bool) throws -> NDArray {
        try reduced("ReduceSum", FT_REDUCE_SUM, axes, keepDims)
    }

    /// Mean over `axes`; NaN over nothing. Integers truncate towards zero.
    public func mean(axes: [Int], keepDims: Bool) throws -> NDArray {
        try reduced("ReduceMean", FT_REDUCE_SUM, axes, keepDims, isMean: true)
    }

    /// Sum of x² over `axes`; 0 over nothing.
    public func sumOfSquares(axes: [Int], keepDims: Bool) throws -> NDArray {
        try reduced("ReduceSumSquare", FT_REDUCE_SUM_OF_SQUARES, axes, keepDims)
    }

    /// Product over `axes`; 1 over nothing.
    public func prod(axes: [Int], keepDims: Bool) throws -> NDArray {
        try reduced("ReduceProd", FT_REDUCE_PROD, axes, keepDims)
    }

    /// Largest element over `axes`; NaN if there is one. Throws over nothing.
    public func max(axes: [Int], keepDims: Bool) throws -> NDArray {
        try reduced("ReduceMax", FT_REDUCE_MAX, axes, keepDims)
    }

    /// Smallest element over `axes`; NaN if there is one. Throws over nothing.
    public func min(axes: [Int], keepDims: Bool) throws -> NDArray {
        try reduced("ReduceMin", FT_REDUCE_MIN, axes, keepDims)
    }

    /// Index, as `int64`, of the largest element along `axis`; NaN is the largest; of equal ones the first or the last.
    public func argMax(axis: Int, keepDims: Bool, selectLast: Bool = false) throws -> NDArray {
        try argExtreme("ArgMax", axis, keepDims, largest: true, selectLast: selectLast)
    }

    /// Index, as `int64`, of the smallest element along `axis`; NaN is the smallest; of equal ones the first or the last.
    public func argMin(axis: Int, keepDims: Bool, selectLast: Bool = false) throws -> NDArray {
        try argExtreme("ArgMin", axis, keepDims, largest: false, selectLast: selectLast)
    }

    /// Undoes broadcasting: sums over the axes along which an array of `target` would have been stretched to this shape.
    ///
    /// - Throws: `ShapeError` when `target` does not broadcast to this shape.
    public func sumToShape(_ target: [Int]) throws -> NDArray {
        if target == shape { return self }
        guard broadcastShape(target, shape) == shape else {
            throw ShapeError("SumToShape", "shape \(target) does not broadcast to \(shape)")
        }
        let offset = rank - target.count
        let axes = shape.indices.filter { $0 < offset || (target[$0 - offset] == 1 && shape[$0] != 1) }
        return try sum(axes: axes, keepDims: true).reshaped(target)
    }

    private func argExtreme(
        _ operation: String, _ axis: Int, _ keepDims: Bool, largest: Bool, selectLast: Bool
    ) throws -> NDArray {
        if dtype.isHalf {
            return try converted(to: .float32).argExtreme(
                operation, axis, keepDims, largest: largest, selectLast: selectLast)
        }
        let axis = try requireAxis(axis, rank: rank, operation)
        let result = reducedShape(shape, [axis], keepDims: keepDims)
        guard shape[axis] > 0 || result.contains(0) else { throw ShapeError(operation, "axis \(axis) is empty") }
        let (outer, length, inner) = (product(shape[..<axis]), shape[axis], product(shape[(axis + 1)...]))
        return try NDArray.produce(result, .int64, operation) { output in
            guard length > 0 && inner > 0 else { return }
            read { input in
                parallelRange(outer, grain: grain(elementsPerUnit: length * inner)) { begin, end in
                    _ = ft_arg_extreme(
                        dtype.kernel, largest, selectLast, input, length, inner, output.int64s, begin, end)
                }
            }
        }
    }
}

/// `shape` without `axes`, or with 1 in their places.
func reducedShape(_ shape: [Int], _ axes: [Int], keepDims: Bool) -> [Int] {
    shape.indices.compactMap { axes.contains($0) ? (keepDims ? 1 : nil) : shape[$0] }
}

// MARK: - Mechanics

/// Neighbouring axes that are all reduced or all kept.
private struct AxisGroup {
    var size: Int
    let isReduced: Bool
}

extension NDArray {
    private func reduced(
        _ operation: String, _ reduction: ft_reduction, _ axes: [Int], _ keepDims: Bool, isMean: Bool = false
    ) throws -> NDArray {
        let axes = try normalizedAxes(axes, rank: rank, operation)
        let result = reducedShape(shape, axes, keepDims: keepDims)
        if let wider = try wideType(operation, reduction, isMean: isMean, axisCount: axes.count) {
            let values = try converted(to: wider).reduced(operation, reduction, axes, keepDims, isMean: isMean)
            return dtype == .bool ? values : values.converted(to: dtype)
        }
        try requireAllocatable(result, dtype, operation)
        let length = axes.reduce(1) { $0 * shape[$1] }
        let outputCount = elementCount(result)
        if length == 0 && outputCount > 0 {
            switch reduction {
            case FT_REDUCE_MAX, FT_REDUCE_MIN:
                throw ShapeError(operation, "no elements to reduce, shape is \(shape), axes are \(axes)")
            case FT_REDUCE_PROD:
                return NDArray.ones(result, dtype: dtype)
            default:
                if isMean && dtype.isInteger { throw ShapeError(operation, "the mean of no integers is undefined") }
                return isMean ? NDArray.full(result, .nan, dtype: dtype) : NDArray.zeros(result, dtype: dtype)
            }
        }
        if outputCount == 0 { return NDArray(uninitialized: result, dtype: dtype) }
        return reducedGroups(axes, reduction, divisor: isMean ? length : 1).reshaped(result)
    }

    /// The type to compute in when it is not this array's own.
    private func wideType(
        _ operation: String, _ reduction: ft_reduction, isMean: Bool, axisCount: Int
    ) throws -> DType? {
        if dtype.isHalf { return .float32 }
        let isExtreme = reduction == FT_REDUCE_MAX || reduction == FT_REDUCE_MIN
        if dtype == .bool && isMean { throw ShapeError(operation, "is not defined for bool") }
        if dtype == .bool && !isExtreme { return .int64 }
        return isMean && dtype.isInteger && dtype != .int64 && dtype != .uint64 ? .int64 : nil
    }

    /// Reduces the groups of neighbouring axes one after another, the last one first. `axes` are in ascending order.
    private func reducedGroups(_ axes: [Int], _ reduction: ft_reduction, divisor: Int) -> NDArray {
        if let first = axes.first, let last = axes.last, last - first == axes.count - 1 {
            let (outer, inner) = (product(shape[..<first]), product(shape[(last + 1)...]))
            return reducedMiddle(outer, count / (outer * inner), inner, reduction, divisor: divisor, to: dtype)
        }
        var groups: [AxisGroup] = []
        for axis in shape.indices where shape[axis] != 1 {
            let isReduced = axes.contains(axis)
            if groups.last?.isReduced == isReduced {
                groups[groups.count - 1].size *= shape[axis]
            } else {
                groups.append(AxisGroup(size: shape[axis], isReduced: isReduced))
            }
        }
        if !groups.contains(where: \.isReduced) { groups.append(AxisGroup(size: 1, isReduced: true)) }
        let isExtreme = reduction == FT_REDUCE_MAX || reduction == FT_REDUCE_MIN
        var (values, step) = (self, reduction)
        while let index = groups.lastIndex(where: \.isReduced) {
            let outer = product(groups[..<index].map(\.size))
            let inner = product(groups[(index + 1)...].map(\.size))
            let length = groups[index].size
            groups.remove(at: index)
            let isLast = !groups.contains(where: \.isReduced)
            // Partial results of float32 sums stay in float64 until the last step.
            let keepsWide = dtype == .float32 && !isExtreme && !isLast
            values = values.reducedMiddle(
                outer, length, inner, step, divisor: isLast ? divisor : 1,
                to: keepsWide && values.dtype == .float32 ? .float64 : values.dtype)
            if step == FT_REDUCE_SUM_OF_SQUARES { step = FT_REDUCE_SUM }
        }
        return values.converted(to: dtype)
    }

    /// This array as `[outer, length, inner]` reduced to `[outer * inner]`.
    private func reducedMiddle(
        _ outer: Int, _ length: Int, _ inner: Int, _ reduction: ft_reduction, divisor: Int, to result: DType
    ) -> NDArray {
        // One long reduction is cut into pieces of fixed size, so that the result does not depend on the thread count.
        let pieceLength = Swift.max(1, 65_536 / inner)
        if outer == 1 && length >= 4 * pieceLength && inner <= 4_096 {
            return reducedPieces(length, inner, pieceLength, reduction, divisor: divisor).converted(to: result)
        }
        return NDArray.produce([outer * inner], result) { output in
            read { input in
                parallelRange(outer, grain: grain(elementsPerUnit: length * inner)) { begin, end in
                    if dtype == .float32 && result == .float64 {
                        ft_reduce_f32_f64(reduction, input.floats, length, inner, output.doubles, begin, end)
                    } else {
                        _ = ft_reduce(
                            dtype.kernel, reduction, input, length, inner, Int64(divisor), output, begin, end)
                    }
                }
            }
        }
    }

    private func reducedPieces(
        _ length: Int, _ inner: Int, _ pieceLength: Int, _ reduction: ft_reduction, divisor: Int
    ) -> NDArray {
        let isExtreme = reduction == FT_REDUCE_MAX || reduction == FT_REDUCE_MIN
        let wide: DType = dtype == .float32 && !isExtreme ? .float64 : dtype
        let pieces = (length + pieceLength - 1) / pieceLength
        let partial = NDArray.produce([pieces * inner], wide) { output in
            read { input in
                parallelRange(pieces, grain: 1) { begin, end in
                    for piece in begin..<end {
                        let rows = Swift.min(pieceLength, length - piece * pieceLength)
                        let source = input + piece * pieceLength * inner * dtype.size
                        let target = output + piece * inner * wide.size
                        if wide != dtype {
                            ft_reduce_f32_f64(reduction, source.floats, rows, inner, target.doubles, 0, 1)
                        } else {
                            _ = ft_reduce(dtype.kernel, reduction, source, rows, inner, 1, target, 0, 1)
                        }
                    }
                }
            }
        }
        let last = reduction == FT_REDUCE_SUM_OF_SQUARES ? FT_REDUCE_SUM : reduction
        return NDArray.produce([inner], wide) { output in
            partial.read { input in
                _ = ft_reduce(wide.kernel, last, input, pieces, inner, Int64(divisor), output, 0, 1)
            }
        }
    }
}
