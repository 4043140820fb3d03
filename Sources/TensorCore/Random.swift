#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// A seeded source of random numbers whose streams do not depend on how work was scheduled.
///
/// Numbers come from xoshiro256++ (Blackman and Vigna, 2019). `split` derives an independent stream from the seed and a
/// key alone, however many numbers were drawn: `source.split(epoch).split(index)` is the same on every thread.
public struct RandomSource: RandomNumberGenerator, Sendable, Hashable, Codable {
    private let seed: UInt64
    private var s0: UInt64
    private var s1: UInt64
    private var s2: UInt64
    private var s3: UInt64

    /// The stream of `seed`.
    public init(seed: UInt64) {
        var mixer = SplitMix64(state: seed)
        self.seed = seed
        s0 = mixer.next()
        s1 = mixer.next()
        s2 = mixer.next()
        s3 = mixer.next()
    }

    /// The next 64 random bits.
    public mutating func next() -> UInt64 {
        let result = rotated(s0 &+ s3, by: 23) &+ s0
        let shifted = s1 << 17
        s2 ^= s0
        s3 ^= s1
        s1 ^= s2
        s0 ^= s3
        s2 ^= shifted
        s3 = rotated(s3, by: 45)
        return result
    }

    /// An independent stream for `key`, a function of this source's seed and `key` only.
    public func split(_ key: UInt64) -> RandomSource {
        var outer = SplitMix64(state: seed)
        var inner = SplitMix64(state: outer.next() ^ key)
        return RandomSource(seed: inner.next() ^ seed)
    }

    /// An independent stream for a non-negative or negative integer key.
    public func split(_ key: Int) -> RandomSource { split(UInt64(bitPattern: Int64(key))) }

    /// An independent stream for a purpose in words.
    public func split(_ purpose: String) -> RandomSource {
        // FNV-1a.
        split(purpose.utf8.reduce(UInt64(0xCBF2_9CE4_8422_2325)) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 })
    }

    /// A number in [0, 1), every multiple of 2^-53 equally likely.
    public mutating func uniform() -> Double { Double(next() >> 11) * 0x1p-53 }

    /// A number in [0, 1), every multiple of 2^-24 equally likely.
    public mutating func uniformFloat() -> Float { Float(next() >> 40) * 0x1p-24 }

    /// A number in [`low`, `high`).
    public mutating func uniform(_ low: Double, _ high: Double) -> Double { low + (high - low) * uniform() }

    /// An integer in 0 ..< `bound`, each equally likely.
    public mutating func integer(below bound: Int) -> Int {
        demand(bound > 0, "the bound must be positive")
        let bound = UInt64(bound)
        // Multiply-shift with rejection (Lemire, 2019): the low word tells whether the draw is biased.
        var product = next().multipliedFullWidth(by: bound)
        if product.low < bound {
            let threshold = (0 &- bound) % bound
            while product.low < threshold { product = next().multipliedFullWidth(by: bound) }
        }
        return Int(product.high)
    }

    /// A number from the normal distribution with mean 0 and variance 1 (Box and Muller, 1958).
    public mutating func normal() -> Double {
        let radius = sqrt(-2 * log(1 - uniform()))
        return radius * cos(2 * Double.pi * uniform())
    }

    /// The numbers 0 ..< `count` in random order, every order equally likely (Fisher and Yates).
    public mutating func permutation(_ count: Int) -> [Int] {
        var order = Array(0..<count)
        for last in stride(from: count - 1, to: 0, by: -1) { order.swapAt(last, integer(below: last + 1)) }
        return order
    }

    private func rotated(_ value: UInt64, by count: UInt64) -> UInt64 { value << count | value >> (64 - count) }
}

/// Spreads a seed over 64 bits (Steele, Lea and Flood, 2014): close seeds give unrelated states.
private struct SplitMix64 {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
        return value ^ value >> 31
    }
}
