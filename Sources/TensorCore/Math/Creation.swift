extension NDArray {
    /// `start`, `start + step`, ... below `end` (above it for a negative step). ONNX Range, `torch.arange`.
    ///
    /// It has max(0, ceil((end - start) / step)) elements.
    /// - Throws: `ShapeError` for a step of zero, and for bounds that are not finite.
    public static func arange(
        _ start: Double, _ end: Double, step: Double = 1, dtype: DType = .float32
    ) throws -> NDArray {
        guard step != 0, start.isFinite, end.isFinite, step.isFinite else {
            throw ShapeError("Range", "expected finite bounds and a step other than 0, got \(start), \(end), \(step)")
        }
        let length = Swift.max(0, ((end - start) / step).rounded(.up))
        guard length < 0x1p28 else { throw ShapeError("Range", "\(length) elements are too many") }
        let values = try produce([Int(length)], .float64, "Range") { output in
            for index in 0..<Int(length) { output.doubles[index] = start + Double(index) * step }
        }
        return values.converted(to: dtype)
    }

    /// The identity matrix `[rows, columns]`, ones on the diagonal `offset` above the main one.
    public static func eye(
        _ rows: Int, _ columns: Int? = nil, offset: Int = 0, dtype: DType = .float32
    ) throws -> NDArray {
        let columns = columns ?? rows
        try requireAllocatable([rows, columns], dtype, "EyeLike")
        var values = [UInt8](repeating: 0, count: rows * columns)
        // Differences of positions only: the offset may be any number.
        for row in 0..<(columns == 0 ? 0 : rows) where offset >= -row && offset < columns - row {
            values[row * columns + row + offset] = 1
        }
        return NDArray(values, shape: [rows, columns]).converted(to: dtype)
    }
}
