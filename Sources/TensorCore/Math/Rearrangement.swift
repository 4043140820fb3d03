import CKernels

extension NDArray {
    /// Axes in another order: the result's axis i is this array's axis `permutation[i]`. ONNX Transpose.
    public func transposed(_ permutation: [Int]) throws -> NDArray {
        var seen: Set<Int> = []
        guard permutation.count == rank,
            permutation.allSatisfy({ shape.indices.contains($0) && seen.insert($0).inserted })
        else { throw ShapeError("Transpose", "\(permutation) is no permutation of \(rank) axes") }
        let target = permutation.map { shape[$0] }
        // Moving axes of size 1 leaves the elements where they are.
        let moved = permutation.lazy.filter { shape[$0] != 1 }
        if zip(moved, moved.dropFirst()).allSatisfy({ $0 < $1 }) { return reshaped(target) }
        let strides = contiguousStrides(shape)
        return try gatheringStrided(target, permutation.map { strides[$0] }, "Transpose")
    }

    /// Repeats axes of size 1, and adds axes in front, up to `target`. ONNX Expand but for its two-way rule.
    ///
    /// - Throws: `ShapeError` when this shape does not broadcast to exactly `target`.
    public func broadcast(to target: [Int]) throws -> NDArray {
        if target == shape { return self }
        guard broadcastShape(shape, target) == target else {
            throw ShapeError("Expand", "shape \(shape) does not broadcast to \(target)")
        }
        return try gatheringStrided(target, broadcastStrides(shape, to: target), "Expand")
    }

    /// A new contiguous array read from this one by `strides`, from element `offset` on.
    func gatheringStrided(
        _ target: [Int], offset: Int = 0, _ strides: [Int], _ operation: String
    ) throws -> NDArray {
        try NDArray.produce(target, dtype, operation) { output in
            read { input in
                copyStrided(
                    target, size: dtype.size, from: input + offset * dtype.size, strides, to: output,
                    contiguousStrides(target))
            }
        }
    }

    /// Joins arrays along `axis`; they agree in type and in every other axis. ONNX Concat, `torch.cat`.
    public static func concatenate(_ arrays: [NDArray], axis: Int) throws -> NDArray {
        guard let first = arrays.first else { throw ShapeError("Concat", "expected at least one array") }
        let axis = try requireAxis(axis, rank: first.rank, "Concat")
        var shape = first.shape
        shape[axis] = 0
        for array in arrays {
            guard array.dtype == first.dtype else {
                throw ShapeError("Concat", "expected operands of one type, got \(first.dtype) and \(array.dtype)")
            }
            guard array.rank == first.rank,
                shape.indices.allSatisfy({ $0 == axis || array.shape[$0] == first.shape[$0] })
            else {
                throw ShapeError(
                    "Concat", "shapes \(first.shape) and \(array.shape) differ outside axis \(axis)")
            }
            let (sum, overflow) = shape[axis].addingReportingOverflow(array.shape[axis])
            guard !overflow else { throw ShapeError("Concat", "the result is too large along axis \(axis)") }
            shape[axis] = sum
        }
        if arrays.count == 1 { return first }
        return try produce(shape, first.dtype, "Concat") { output in
            let targetStrides = contiguousStrides(shape)
            var position = 0
            for array in arrays {
                array.read {
                    copyStrided(
                        array.shape, size: first.dtype.size, from: $0, contiguousStrides(array.shape),
                        to: output + position * targetStrides[axis] * first.dtype.size, targetStrides)
                }
                position += array.shape[axis]
            }
        }
    }

    /// Cuts `axis` into pieces of `sizes`, which add up to it. Pieces along the first axis share storage. ONNX Split.
    public func split(sizes: [Int], axis: Int) throws -> [NDArray] {
        let axis = try requireAxis(axis, rank: rank, "Split")
        // The sum stops growing beyond the axis, so that it cannot overflow.
        guard sizes.allSatisfy({ $0 >= 0 && $0 <= shape[axis] }),
            sizes.reduce(0, { $0 > shape[axis] ? $0 : $0 + $1 }) == shape[axis]
        else {
            throw ShapeError("Split", "pieces \(sizes) do not add up to \(shape[axis]), axis \(axis) of \(shape)")
        }
        var start = 0
        return try sizes.map { size in
            defer { start += size }
            if product(shape[..<axis]) == 1 && count > 0 {
                let inner = product(shape[(axis + 1)...])
                let target = shape.indices.map { $0 == axis ? size : shape[$0] }
                return NDArray(
                    storage: storage, byteOffset: byteOffset + start * inner * dtype.size, shape: target, dtype: dtype)
            }
            let target = shape.indices.map { $0 == axis ? size : shape[$0] }
            let strides = contiguousStrides(shape)
            return try gatheringStrided(target, offset: start * strides[axis], strides, "Split")
        }
    }
}
