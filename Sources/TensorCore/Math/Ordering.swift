import CKernels

extension NDArray {
    /// Positions along `axis` of the first `count` elements in order, the largest first or the smallest first, as `int64`.
    ///
    /// NaN is the largest; of equal elements the first comes first. The result has `count` in place of the axis.
    public func ordered(axis: Int, count: Int, largestFirst: Bool) throws -> NDArray {
        if dtype != .float32 && dtype != .float64 && dtype != .int64 {
            let wide: DType = dtype.isHalf ? .float32 : dtype == .uint64 ? .float64 : .int64
            return try converted(to: wide).ordered(axis: axis, count: count, largestFirst: largestFirst)
        }
        let axis = try requireAxis(axis, rank: rank, "sort")
        guard count >= 0, count <= shape[axis] else {
            throw ShapeError("topk", "\(count) elements of axis \(axis) of \(shape)")
        }
        // The axis becomes the last one, and goes back afterwards.
        var permutation = Array(0..<rank)
        permutation.append(permutation.remove(at: axis))
        let rows = try axis == rank - 1 ? self : transposed(permutation)
        let length = shape[axis]
        let result = NDArray.produce(rows.shape.dropLast() + [count], .int64) { output in
            guard count > 0 else { return }
            rows.read { x in
                parallelRange(rows.count / length, grain: grain(elementsPerUnit: 8 * length)) { begin, end in
                    Scratch.withBytes(Int(ft_order_scratch(length))) { scratch in
                        for row in begin..<end {
                            _ = ft_order(
                                dtype.kernel, largestFirst, x + row * length * dtype.size, length, count, scratch,
                                output.int64s + row * count)
                        }
                    }
                }
            }
        }
        if axis == rank - 1 { return result }
        var inverse = permutation
        for (to, from) in permutation.enumerated() { inverse[from] = to }
        return try result.transposed(inverse)
    }
}
