import CKernels

extension NDArray {
    /// Slices at `indices` along `axis`; negative indices count from the end. ONNX Gather, `np.take`.
    ///
    /// Shape: `shape[..<axis] + indices.shape + shape[(axis + 1)...]`.
    /// - Throws: `ShapeError` for an index outside the axis, and for indices other than `int32` or `int64`.
    public func gathered(_ indices: NDArray, axis: Int) throws -> NDArray {
        let axis = try requireAxis(axis, rank: rank, "Gather")
        let positions = try checkedIndices(indices, size: shape[axis], "Gather")
        let target = shape[..<axis] + indices.shape + shape[(axis + 1)...]
        try requireAllocatable(Array(target), dtype, "Gather")
        return try takingSlices(positions, axis: axis, "Gather").reshaped(Array(target))
    }

    /// The adjoint of `gathered`: zeros of `inputShape` with the slices of `gradOutput` added at `indices`.
    public static func scatterAdd(
        _ gradOutput: NDArray, indices: NDArray, axis: Int, inputShape: [Int]
    ) throws -> NDArray {
        try requireAllocatable(inputShape, gradOutput.dtype, "Gather gradient")
        let axis = try requireAxis(axis, rank: inputShape.count, "Gather gradient")
        let positions = try checkedIndices(indices, size: inputShape[axis], "Gather gradient")
        let expected = Array(inputShape[..<axis] + indices.shape + inputShape[(axis + 1)...])
        guard gradOutput.shape == expected else {
            throw ShapeError("Gather gradient", "expected shape \(expected), got \(gradOutput.shape)")
        }
        let flat = Array(inputShape[..<axis] + [positions.count] + inputShape[(axis + 1)...])
        return try gradOutput.reshaped(flat).addingSlices(positions, axis: axis, size: inputShape[axis])
    }

    /// Slices at the index tuples in the last axis of `indices`, after `batchDims` shared axes. ONNX GatherND.
    ///
    /// Shape: `indices.shape[..<-1] + shape[(batchDims + indices.shape[-1])...]`.
    public func gatheredND(_ indices: NDArray, batchDims: Int = 0) throws -> NDArray {
        let plan = try IndexTuples(indices, dataShape: shape, batchDims: batchDims, "GatherND")
        return try takingSlices(plan.offsets, length: plan.sliceLength, shape: plan.outputShape, "GatherND")
    }

    /// The adjoint of `gatheredND`: zeros of `inputShape` with the slices of `gradOutput` added at `indices`.
    public static func scatterAddND(
        _ gradOutput: NDArray, indices: NDArray, batchDims: Int = 0, inputShape: [Int]
    ) throws -> NDArray {
        try requireAllocatable(inputShape, gradOutput.dtype, "GatherND gradient")
        let plan = try IndexTuples(indices, dataShape: inputShape, batchDims: batchDims, "GatherND gradient")
        guard gradOutput.shape == plan.outputShape else {
            throw ShapeError("GatherND gradient", "expected shape \(plan.outputShape), got \(gradOutput.shape)")
        }
        return try gradOutput.addingSlices(plan.offsets, length: plan.sliceLength, into: inputShape)
    }

    /// y[i, j, ...] = x[indices[i, j, ...], j, ...] for axis 0, and so on. ONNX GatherElements, `torch.gather`.
    public func gatherElements(_ indices: NDArray, axis: Int) throws -> NDArray {
        let offsets = try elementOffsets(indices, axis: axis, dataShape: shape, "GatherElements")
        return try takingSlices(offsets, length: 1, shape: indices.shape, "GatherElements")
    }

    /// The adjoint of `gatherElements`: zeros of `inputShape` with every element of `gradOutput` added at its index.
    public static func scatterElementsAdd(
        _ gradOutput: NDArray, indices: NDArray, axis: Int, inputShape: [Int]
    ) throws -> NDArray {
        try requireAllocatable(inputShape, gradOutput.dtype, "ScatterElements")
        guard gradOutput.shape == indices.shape else {
            throw ShapeError(
                "ScatterElements", "expected values of shape \(indices.shape), got \(gradOutput.shape)")
        }
        let offsets = try elementOffsets(indices, axis: axis, dataShape: inputShape, "ScatterElements")
        return try gradOutput.addingSlices(offsets, length: 1, into: inputShape)
    }

    /// This array with `updates` written at `indices` along `axis`; the last of several wins. ONNX ScatterElements.
    public func scatteredElements(_ indices: NDArray, updates: NDArray, axis: Int) throws -> NDArray {
        guard updates.shape == indices.shape, updates.dtype == dtype else {
            throw ShapeError(
                "ScatterElements",
                "expected updates \(indices.shape) of \(dtype), got \(updates.shape) of \(updates.dtype)")
        }
        return writing(updates, at: try elementOffsets(indices, axis: axis, dataShape: shape, "ScatterElements"))
    }

    /// This array with the slices of `updates` written at the index tuples in the last axis of `indices`; the last of several
    /// wins. ONNX ScatterND.
    public func scatteredND(_ indices: NDArray, updates: NDArray) throws -> NDArray {
        let plan = try IndexTuples(indices, dataShape: shape, batchDims: 0, "ScatterND")
        guard updates.shape == plan.outputShape, updates.dtype == dtype else {
            throw ShapeError(
                "ScatterND",
                "expected updates \(plan.outputShape) of \(dtype), got \(updates.shape) of \(updates.dtype)")
        }
        return writing(updates, at: plan.offsets, length: plan.sliceLength)
    }

    /// This array with slices of `length` elements of `updates` written at `offsets`, all inside, one after the other.
    private func writing(_ updates: NDArray, at offsets: [Int64], length: Int = 1) -> NDArray {
        var result = self
        let size = dtype.size
        result.write { target in
            updates.read { source in
                for (index, offset) in offsets.enumerated() {
                    (target + Int(offset) * size).copyMemory(
                        from: source + index * length * size, byteCount: length * size)
                }
            }
        }
        return result
    }
}

// MARK: - Moving slices

extension NDArray {
    /// Slices at `positions`, all inside, along `axis`.
    func takingSlices(_ positions: [Int64], axis: Int, _ operation: String) throws -> NDArray {
        let (outer, size, inner) = (product(shape[..<axis]), shape[axis], product(shape[(axis + 1)...]))
        var target = shape
        target[axis] = positions.count
        let offsets = positions.map { $0 * Int64(inner) }
        return try NDArray.produce(target, dtype, operation) { output in
            guard inner > 0, !offsets.isEmpty else { return }
            read { input in
                let (from, to) = (size * inner * dtype.size, offsets.count * inner * dtype.size)
                parallelRange(outer, grain: grain(elementsPerUnit: offsets.count * inner)) { begin, end in
                    for index in begin..<end {
                        ft_gather_slices(
                            Int32(dtype.size), input + index * from, offsets, inner, output + index * to, 0,
                            offsets.count)
                    }
                }
            }
        }
    }

    /// The adjoint of `takingSlices` along an axis of `size`.
    func addingSlices(_ positions: [Int64], axis: Int, size: Int) throws -> NDArray {
        if dtype.isHalf { return try throughFloat32 { try $0.addingSlices(positions, axis: axis, size: size) } }
        let (outer, inner) = (product(shape[..<axis]), product(shape[(axis + 1)...]))
        var target = shape
        target[axis] = size
        var result = NDArray.zeros(target, dtype: dtype)
        guard inner > 0, dtype != .bool else {
            if dtype == .bool { throw ShapeError("scatter-add", "is not defined for bool") }
            return result
        }
        let offsets = positions.map { $0 * Int64(inner) }
        result.write { output in
            read { input in
                let (from, to) = (offsets.count * inner * dtype.size, size * inner * dtype.size)
                parallelRange(outer, grain: grain(elementsPerUnit: offsets.count * inner)) { begin, end in
                    for index in begin..<end {
                        _ = ft_scatter_add_slices(
                            dtype.kernel, input + index * from, offsets, offsets.count, inner, output + index * to)
                    }
                }
            }
        }
        return result
    }

    /// Slices of `length` elements at `offsets`; negative offsets give zeros.
    func takingSlices(_ offsets: [Int64], length: Int, shape: [Int], _ operation: String) throws -> NDArray {
        try NDArray.produce(shape, dtype, operation) { output in
            guard length > 0 else { return }
            read { input in
                parallelRange(offsets.count, grain: grain(elementsPerUnit: length)) { begin, end in
                    ft_gather_slices(Int32(dtype.size), input, offsets, length, output, begin, end)
                }
            }
        }
    }

    /// The adjoint of `takingSlices` into zeros of `shape`.
    func addingSlices(_ offsets: [Int64], length: Int, into shape: [Int]) throws -> NDArray {
        if dtype.isHalf { return try throughFloat32 { try $0.addingSlices(offsets, length: length, into: shape) } }
        guard dtype != .bool else { throw ShapeError("scatter-add", "is not defined for bool") }
        var result = NDArray.zeros(shape, dtype: dtype)
        if length == 0 { return result }
        result.write { output in
            read { _ = ft_scatter_add_slices(dtype.kernel, $0, offsets, offsets.count, length, output) }
        }
        return result
    }
}

// MARK: - Reading indices

/// Indices as positions in `0 ..< size`.
private func checkedIndices(_ indices: NDArray, size: Int, _ operation: String) throws -> [Int64] {
    guard indices.dtype == .int64 || indices.dtype == .int32 else {
        throw ShapeError(operation, "expected indices of int32 or int64, got \(indices.dtype)")
    }
    return try indices.integers().map { index in
        guard index >= -size && index < size else {
            throw ShapeError(operation, "index \(index) is outside an axis of \(size)")
        }
        return Int64(index < 0 ? index + size : index)
    }
}

/// Flat offset of x[..., indices[...], ...] for every element of `indices`.
private func elementOffsets(
    _ indices: NDArray, axis: Int, dataShape: [Int], _ operation: String
) throws -> [Int64] {
    let axis = try requireAxis(axis, rank: dataShape.count, operation)
    guard indices.rank == dataShape.count,
        dataShape.indices.allSatisfy({ $0 == axis || indices.shape[$0] <= dataShape[$0] })
    else {
        throw ShapeError(operation, "indices \(indices.shape) do not fit \(dataShape) along axis \(axis)")
    }
    let positions = try checkedIndices(indices, size: dataShape[axis], operation)
    var strides = contiguousStrides(dataShape)
    let axisStride = strides[axis]
    strides[axis] = 0
    let shape = indices.shape
    var index = [Int](repeating: 0, count: shape.count)
    var base = 0
    return positions.map { position in
        defer {
            for place in shape.indices.reversed() {
                index[place] += 1
                base += strides[place]
                if index[place] < shape[place] { break }
                base -= strides[place] * shape[place]
                index[place] = 0
            }
        }
        return Int64(base) + position * Int64(axisStride)
    }
}

/// The index tuples of GatherND as offsets of slices.
private struct IndexTuples {
    let offsets: [Int64]
    let sliceLength: Int
    let outputShape: [Int]

    init(_ indices: NDArray, dataShape: [Int], batchDims: Int, _ operation: String) throws {
        let depth = indices.shape.last ?? 0
        guard indices.rank >= 1, batchDims >= 0, batchDims < indices.rank, batchDims + depth <= dataShape.count,
            depth > 0, indices.shape[..<batchDims] == dataShape[..<batchDims]
        else {
            throw ShapeError(
                operation, "indices \(indices.shape) do not fit \(dataShape) with \(batchDims) batch axes")
        }
        guard indices.dtype == .int64 || indices.dtype == .int32 else {
            throw ShapeError(operation, "expected indices of int32 or int64, got \(indices.dtype)")
        }
        let strides = contiguousStrides(dataShape)
        let batchStride = batchDims == 0 ? 0 : strides[batchDims - 1]
        let tuplesPerBatch = Swift.max(1, product(indices.shape[batchDims...].dropLast()))
        let values = indices.integers()
        offsets = try (0..<values.count / depth).map { tuple in
            var offset = tuple / tuplesPerBatch * batchStride
            for place in 0..<depth {
                let size = dataShape[batchDims + place]
                let value = values[tuple * depth + place]
                guard value >= -size && value < size else {
                    throw ShapeError(operation, "index \(value) is outside an axis of \(size)")
                }
                offset += (value < 0 ? value + size : value) * strides[batchDims + place]
            }
            return Int64(offset)
        }
        sliceLength = product(dataShape[(batchDims + depth)...])
        outputShape = Array(indices.shape.dropLast() + dataShape[(batchDims + depth)...])
    }
}
