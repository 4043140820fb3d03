import CKernels

extension NDArray {
    /// Numbers uniform in [0, 1), drawn in row-major order: multiples of 2^-53 in `float64`, of 2^-24 otherwise.
    public static func uniform(_ shape: [Int], seed: UInt64, dtype: DType = .float32) throws -> NDArray {
        try requireFloats(shape, dtype, "uniform")
        // 24 bits, so that rounding to float32 never gives 1.
        if dtype.isHalf { return try uniform(shape, seed: seed).converted(to: dtype) }
        var source = RandomSource(seed: seed)
        return produce(shape, dtype) { output in
            if dtype == .float64 {
                for index in 0..<elementCount(shape) { output.doubles[index] = source.uniform() }
            } else {
                for index in 0..<elementCount(shape) { output.floats[index] = source.uniformFloat() }
            }
        }
    }

    /// Numbers normal around 0 with variance 1: a function of `seed` and position alone, made on any number of threads.
    public static func normal(_ shape: [Int], seed: UInt64, dtype: DType = .float32) throws -> NDArray {
        try requireFloats(shape, dtype, "normal")
        if dtype.isHalf { return try normal(shape, seed: seed).converted(to: dtype) }
        return produce(shape, dtype) { output in
            // Pieces begin at even positions: normal numbers come in pairs.
            let pairs = (elementCount(shape) + 1) / 2
            parallelRange(pairs, grain: serialElements / 8) { begin, end in
                let (first, last) = (2 * begin, Swift.min(2 * end, elementCount(shape)))
                if dtype == .float64 {
                    ft_random_normal_f64(seed, output.doubles, first, last)
                } else {
                    ft_random_normal_f32(seed, output.floats, first, last)
                }
            }
        }
    }

    /// 0 with probability `p`, `kept` otherwise, independently for every element, drawn from `source` in row-major order.
    public static func dropoutMask(
        _ shape: [Int], p: Double, kept: Double, dtype: DType = .float32, from source: inout RandomSource
    ) throws -> NDArray {
        try requireFloats(shape, dtype, "dropout")
        guard (0...1).contains(p) else { throw ShapeError("dropout", "p must lie between 0 and 1, got \(p)") }
        if dtype != .float32 {
            let mask = try dropoutMask(shape, p: p, kept: 1, from: &source)
            return try binary(.mul, mask.converted(to: dtype), NDArray(scalar: kept, dtype: dtype))
        }
        // k 2^-53 < p for whole k is k < ceil(p 2^53): `uniform() < p` without a conversion per element.
        let (threshold, kept) = (UInt64((p * 0x1p53).rounded(.up)), Float(kept))
        var stream = source
        let mask = produce(shape, dtype) { output in
            for index in 0..<elementCount(shape) { output.floats[index] = stream.next() >> 11 < threshold ? 0 : kept }
        }
        source = stream
        return mask
    }

    private static func requireFloats(_ shape: [Int], _ dtype: DType, _ operation: String) throws {
        try requireAllocatable(shape, .float64, operation)
        guard dtype.isFloatingPoint else {
            throw ShapeError(operation, "expected a floating-point type, got \(dtype)")
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
