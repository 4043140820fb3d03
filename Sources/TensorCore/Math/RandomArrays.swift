extension NDArray {
    /// Numbers uniform in [`low`, `high`), drawn from `source` in row-major order. A floating-point `dtype`.
    public static func randomUniform(
        _ shape: [Int], _ low: Double = 0, _ high: Double = 1, dtype: DType = .float32, from source: inout RandomSource
    ) throws -> NDArray {
        try drawn(shape, dtype, "uniform") { source.uniform(low, high) }
    }

    /// Numbers normal around `mean`, drawn from `source` in row-major order. A floating-point `dtype`.
    public static func randomNormal(
        _ shape: [Int], mean: Double = 0, standardDeviation: Double = 1, dtype: DType = .float32,
        from source: inout RandomSource
    ) throws -> NDArray {
        try drawn(shape, dtype, "normal") { mean + standardDeviation * source.normal() }
    }

    /// True with `probability`, independently for every element, drawn from `source` in row-major order.
    public static func randomBernoulli(
        _ shape: [Int], probability: Double, from source: inout RandomSource
    ) throws -> NDArray {
        try requireAllocatable(shape, .bool, "bernoulli")
        guard (0...1).contains(probability) else {
            throw ShapeError("bernoulli", "expected a probability from 0 to 1, got \(probability)")
        }
        return produce(shape, .bool) { output in
            let values = output.assumingMemoryBound(to: Bool.self)
            for index in 0..<elementCount(shape) { values[index] = source.uniform() < probability }
        }
    }

    private static func drawn(
        _ shape: [Int], _ dtype: DType, _ operation: String, _ next: () -> Double
    ) throws -> NDArray {
        try requireAllocatable(shape, .float64, operation)
        guard dtype.isFloatingPoint else {
            throw ShapeError(operation, "expected a floating-point type, got \(dtype)")
        }
        let values = produce(shape, .float64) { output in
            for index in 0..<elementCount(shape) { output.doubles[index] = next() }
        }
        return values.converted(to: dtype)
    }
}
