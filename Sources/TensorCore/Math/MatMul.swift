import CKernels

extension NDArray {
    /// Matrix products of the last two axes, with NumPy's broadcasting over the others. ONNX MatMul, `torch.matmul`.
    ///
    /// - `a`: `[.., M, K]`, or `[.., K, M]` when `transposeA`.
    /// - `b`: `[.., K, N]`, or `[.., N, K]` when `transposeB`.
    /// - Returns: `[.., M, N]`. Integers wrap; 16-bit floats are computed in `float32`.
    /// - Throws: `ShapeError` for fewer than two axes and for operands that do not fit.
    public static func matmul(
        _ a: NDArray, _ b: NDArray, transposeA: Bool = false, transposeB: Bool = false
    ) throws -> NDArray {
        guard a.dtype == b.dtype, a.dtype != .bool else {
            throw ShapeError("MatMul", "expected operands of one numeric type, got \(a.dtype) and \(b.dtype)")
        }
        if a.dtype.isHalf {
            return try a.throughFloat32 {
                try matmul($0, b.converted(to: .float32), transposeA: transposeA, transposeB: transposeB)
            }
        }
        let product = try MatrixProduct(a, b, transposeA, transposeB)
        return try produce(product.shape, a.dtype, "MatMul") { output in
            guard !product.shape.contains(0) else { return }
            if product.depth == 0 {
                // All-zero bytes are the number zero in every element type.
                output.initializeMemory(as: UInt8.self, repeating: 0, count: elementCount(product.shape) * a.dtype.size)
                return
            }
            a.read { a in b.read { b in product.run(a, b, output) } }
        }
    }
}

/// One batched product: sizes, and for every batch element which matrices of the operands meet.
private struct MatrixProduct {
    let dtype: DType
    let shape: [Int]
    let depth: Int
    private let rows: Int
    private let columns: Int
    private let batch: Int
    private let transposeA: Bool
    private let transposeB: Bool
    private let aMatrices: [Int]
    private let bMatrices: [Int]

    init(_ a: NDArray, _ b: NDArray, _ transposeA: Bool, _ transposeB: Bool) throws {
        guard a.rank >= 2, b.rank >= 2,
            let outer = broadcastShape(Array(a.shape.dropLast(2)), Array(b.shape.dropLast(2)))
        else { throw MatrixProduct.misfit(a, b, transposeA, transposeB) }
        let (aRows, aColumns) = (a.shape[a.rank - 2], a.shape[a.rank - 1])
        let (bRows, bColumns) = (b.shape[b.rank - 2], b.shape[b.rank - 1])
        let (m, k) = transposeA ? (aColumns, aRows) : (aRows, aColumns)
        let (innerB, n) = transposeB ? (bColumns, bRows) : (bRows, bColumns)
        guard k == innerB else { throw MatrixProduct.misfit(a, b, transposeA, transposeB) }
        dtype = a.dtype
        shape = outer + [m, n]
        depth = k
        try requireAllocatable(shape, dtype, "MatMul")
        self.transposeA = transposeA
        self.transposeB = transposeB
        columns = n
        // One right-hand matrix for all: the batch is more rows.
        if !transposeA && product(b.shape.dropLast(2)) == 1 {
            rows = product(outer) * m
            batch = 1
            (aMatrices, bMatrices) = ([0], [0])
        } else if k == 0 || shape.contains(0) {
            // Nothing is multiplied, however many matrices there are.
            (rows, batch) = (m, 0)
            (aMatrices, bMatrices) = ([], [])
        } else {
            rows = m
            batch = product(outer)
            aMatrices = try MatrixProduct.matrices(Array(a.shape.dropLast(2)), outer)
            bMatrices = try MatrixProduct.matrices(Array(b.shape.dropLast(2)), outer)
        }
    }

    /// Which matrix of an operand with batch axes `shape` each element of the batch `outer` reads.
    private static func matrices(_ shape: [Int], _ outer: [Int]) throws -> [Int] {
        if shape == outer { return Array(0..<product(outer)) }
        let indices = NDArray((0..<product(shape)).map { Int64($0) }, shape: shape)
        let strides = broadcastStrides(shape, to: outer)
        return try indices.gatheringStrided(outer, strides, "MatMul").integers()
    }

    private static func misfit(_ a: NDArray, _ b: NDArray, _ transposeA: Bool, _ transposeB: Bool) -> ShapeError {
        let (aShape, bShape) = (transposeA ? "[.., K, M]" : "[.., M, K]", transposeB ? "[.., N, K]" : "[.., K, N]")
        return ShapeError("MatMul", "expected \(aShape) and \(bShape), got \(a.shape) and \(b.shape)")
    }

    func run(_ a: UnsafeRawPointer, _ b: UnsafeRawPointer, _ c: UnsafeMutableRawPointer) {
        let work = rows * columns * depth
        if batch > 1 && work < 1 << 21 {
            parallelRange(batch, grain: Swift.max(1, (1 << 16) / Swift.max(1, work))) { begin, end in
                for index in begin..<end { multiply(index, a, b, c, isSerial: true) }
            }
        } else {
            for index in 0..<batch { multiply(index, a, b, c, isSerial: false) }
        }
    }

    private func multiply(
        _ index: Int, _ a: UnsafeRawPointer, _ b: UnsafeRawPointer, _ c: UnsafeMutableRawPointer, isSerial: Bool
    ) {
        let a = a + aMatrices[index] * rows * depth * dtype.size
        let b = b + bMatrices[index] * depth * columns * dtype.size
        let c = c + index * rows * columns * dtype.size
        let (lda, ldb) = (transposeA ? rows : depth, transposeB ? depth : columns)
        switch dtype {
        case .float32:
            (isSerial ? ft_sgemm_serial : ft_sgemm)(
                transposeA, transposeB, rows, columns, depth, 1, a.floats, lda, b.floats, ldb, 0, c.floats, columns)
        case .float64:
            (isSerial ? ft_dgemm_serial : ft_dgemm)(
                transposeA, transposeB, rows, columns, depth, 1, a.doubles, lda, b.doubles, ldb, 0, c.doubles,
                columns)
        default:
            parallelRange(rows, grain: grain(elementsPerUnit: columns * depth)) { begin, end in
                _ = ft_matmul(
                    dtype.kernel, columns, depth, a, transposeA ? 1 : depth, transposeA ? rows : 1, b,
                    transposeB ? 1 : columns, transposeB ? depth : 1, c, begin, end)
            }
        }
    }
}
