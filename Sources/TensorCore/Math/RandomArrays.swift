import CKernels

extension NDArray {
    /// Numbers uniform in [0, 1): a function of `seed` and position alone, made on any number of threads.
    public static func uniform(_ shape: [Int], seed: UInt64, dtype: DType = .float32) throws -> NDArray {
        try hashed(shape, dtype, "uniform", { ft_random_uniform_f32(seed, $0, $1, $2) }) {
            ft_random_uniform_f64(seed, $0, $1, $2)
        }
    }

    /// Numbers normal around 0 with variance 1: a function of `seed` and position alone, made on any number of threads.
    public static func normal(_ shape: [Int], seed: UInt64, dtype: DType = .float32) throws -> NDArray {
        try hashed(shape, dtype, "normal", { ft_random_normal_f32(seed, $0, $1, $2) }) {
            ft_random_normal_f64(seed, $0, $1, $2)
        }
    }

    /// 0 with probability `p`, `kept` otherwise, independently for every element: a function of `seed` and position alone.
    public static func dropoutMask(
        _ shape: [Int], p: Double, kept: Double, seed: UInt64, dtype: DType = .float32
    ) throws -> NDArray {
        guard (0...1).contains(p) else { throw ShapeError("dropout", "p must lie between 0 and 1, got \(p)") }
        let mask = try hashed(
            shape, .float32, "dropout",
            { ft_random_mask_f32(seed, p, dtype == .float32 ? Float(kept) : 1, $0, $1, $2) },
            { _, _, _ in })
        if dtype == .float32 { return mask }
        return try binary(.mul, mask.converted(to: dtype), NDArray(scalar: kept, dtype: dtype))
    }

    private static func hashed(
        _ shape: [Int], _ dtype: DType, _ operation: String,
        _ floats: (UnsafeMutablePointer<Float>, Int, Int) -> Void,
        _ doubles: (UnsafeMutablePointer<Double>, Int, Int) -> Void
    ) throws -> NDArray {
        try requireAllocatable(shape, .float64, operation)
        guard dtype.isFloatingPoint else {
            throw ShapeError(operation, "expected a floating-point type, got \(dtype)")
        }
        if dtype.isHalf { return try hashed(shape, .float32, operation, floats, doubles).converted(to: dtype) }
        return produce(shape, dtype) { output in
            // Pieces begin at even positions: normal numbers come in pairs.
            let pairs = (elementCount(shape) + 1) / 2
            parallelRange(pairs, grain: serialElements / 8) { begin, end in
                let (first, last) = (2 * begin, Swift.min(2 * end, elementCount(shape)))
                if dtype == .float64 {
                    doubles(output.doubles, first, last)
                } else {
                    floats(output.floats, first, last)
                }
            }
        }
    }

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
