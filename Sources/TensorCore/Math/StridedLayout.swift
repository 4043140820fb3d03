import CKernels

extension ft_layout {
    /// Arrays of `shapes` broadcast to `shape`, which they must fit.
    ///
    /// - Throws: `ShapeError` for more axes than a kernel walks.
    init(
        broadcasting a: NDArray, _ b: NDArray, _ c: NDArray? = nil, to shape: [Int],
        _ operation: @autoclosure () -> String
    ) throws {
        self.init()
        guard ft_layout_start(&self, Int32(clamping: shape.count), shape) else {
            throw ShapeError(operation(), "more than \(FT_MAX_RANK) axes")
        }
        ft_layout_add_broadcast(&self, Int32(a.rank), a.shape)
        ft_layout_add_broadcast(&self, Int32(b.rank), b.shape)
        if let c { ft_layout_add_broadcast(&self, Int32(c.rank), c.shape) }
        ft_layout_merge(&self)
    }
}

/// Row-major strides in elements.
func contiguousStrides(_ shape: [Int]) -> [Int] {
    var strides = [Int](repeating: 1, count: shape.count)
    for axis in shape.indices.dropLast().reversed() { strides[axis] = strides[axis + 1] * shape[axis + 1] }
    return strides
}

/// Strides that read an array of `shape` as if it had the shape `target` that it broadcasts to.
func broadcastStrides(_ shape: [Int], to target: [Int]) -> [Int] {
    let own = contiguousStrides(shape)
    let offset = target.count - shape.count
    return target.indices.map { axis in
        axis < offset || (shape[axis - offset] == 1 && target[axis] != 1) ? 0 : own[axis - offset]
    }
}

/// Copies elements of `size` bytes between strided places; pointers are to the elements with all indices 0.
func copyStrided(
    _ shape: [Int], size: Int, from source: UnsafeRawPointer, _ sourceStrides: [Int],
    to target: UnsafeMutableRawPointer, _ targetStrides: [Int]
) {
    guard !shape.contains(0) else { return }
    var layout = ft_layout()
    guard ft_layout_start(&layout, Int32(clamping: shape.count), shape) else {
        // More axes than a layout holds: one after another along the first.
        let (from, to) = (Array(sourceStrides.dropFirst()), Array(targetStrides.dropFirst()))
        for index in 0..<shape[0] {
            copyStrided(
                Array(shape.dropFirst()), size: size, from: source + index * sourceStrides[0] * size, from,
                to: target + index * targetStrides[0] * size, to)
        }
        return
    }
    ft_layout_add(&layout, sourceStrides)
    ft_layout_add(&layout, targetStrides)
    ft_layout_merge(&layout)
    if let matrix = TransposedMatrix(layout) {
        let tiles = ft_transpose_tiles(matrix.columns)
        parallelRange(matrix.batch * tiles, grain: grain(elementsPerUnit: matrix.rows * 16)) { begin, end in
            ft_transpose(Int32(size), matrix.rows, matrix.columns, source, target, begin, end)
        }
        return
    }
    withUnsafePointer(to: layout) { layout in
        let (rows, length) = (layout.pointee.row_count, layout.pointee.row_length)
        parallelRange(rows, grain: grain(elementsPerUnit: length)) { begin, end in
            ft_copy_rows(Int32(size), layout, source, target, begin, end)
        }
    }
}

/// A copy that swaps the two axes of each matrix of a contiguous batch.
private struct TransposedMatrix {
    let batch: Int
    let rows: Int
    let columns: Int

    init?(_ layout: ft_layout) {
        let (shape, from, to) = (layout.shape, layout.strides.0, layout.strides.1)
        switch layout.rank {
        case 2:
            (batch, columns, rows) = (1, shape.0, shape.1)
            guard from.0 == 1, from.1 == columns, to.0 == rows, to.1 == 1 else { return nil }
        case 3:
            (batch, columns, rows) = (shape.0, shape.1, shape.2)
            guard from.1 == 1, from.2 == columns, to.1 == rows, to.2 == 1, from.0 == rows * columns,
                to.0 == rows * columns
            else { return nil }
        default: return nil
        }
    }
}
