import CFiles

/// SHA-256 (FIPS 180-4), as `sha256sum` prints it.
public struct SHA256: Sendable {
    private var state = SIMD8<UInt32>(
        0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19)
    /// The first `pendingCount` bytes wait for the rest of their block.
    private var pending = SIMD64<UInt8>()
    private var pendingCount = 0
    private var byteCount: UInt64 = 0

    /// The hash of no bytes.
    public init() {}

    /// Absorbs `bytes`.
    public mutating func update(_ bytes: UnsafeRawBufferPointer) {
        byteCount += UInt64(bytes.count)
        var start = 0
        if pendingCount > 0 {
            start = min(64 - pendingCount, bytes.count)
            keep(bytes[..<start])
            guard pendingCount == 64 else { return }
            absorbPending()
        }
        let whole = (bytes.count - start) / 64
        if whole > 0, let base = bytes.baseAddress {
            absorb((base + start).assumingMemoryBound(to: UInt8.self), whole)
        }
        keep(bytes[(start + whole * 64)...])
    }

    /// Absorbs `bytes`.
    public mutating func update(_ bytes: [UInt8]) { bytes.withUnsafeBytes { update($0) } }

    /// Absorbs the 32 bytes of a digest.
    public mutating func update(_ digest: Digest) {
        let words = digest.words
        let inOrder = SIMD4(words.x.littleEndian, words.y.littleEndian, words.z.littleEndian, words.w.littleEndian)
        withUnsafeBytes(of: inOrder) { update($0) }
    }

    /// The digest of everything absorbed, 32 bytes.
    public func digest() -> [UInt8] { value.bytes }

    /// The digest in lower-case hexadecimal, 64 characters.
    public func hexDigest() -> String { value.description }

    /// The digest of everything absorbed.
    public var value: Digest {
        var copy = self
        copy.finish()
        let words = copy.state
        func pair(_ index: Int) -> UInt64 {
            UInt64(words[index].byteSwapped) | UInt64(words[index + 1].byteSwapped) << 32
        }
        return Digest(words: SIMD4(pair(0), pair(2), pair(4), pair(6)))
    }

    /// Absorbs what FIPS 180-4 puts behind the message: a bit, zeros, the number of bits.
    private mutating func finish() {
        let bits = byteCount &* 8
        pending[pendingCount] = 0x80
        for index in (pendingCount + 1)..<64 { pending[index] = 0 }
        if pendingCount >= 56 {
            absorbPending()
            pending = SIMD64()
        }
        for index in 0..<8 { pending[56 + index] = UInt8(truncatingIfNeeded: bits >> (56 - 8 * UInt64(index))) }
        absorbPending()
    }

    private mutating func keep(_ bytes: Slice<UnsafeRawBufferPointer>) {
        guard !bytes.isEmpty else { return }
        let count = pendingCount
        withUnsafeMutableBytes(of: &pending) { target in
            UnsafeMutableRawBufferPointer(rebasing: target[count...]).copyMemory(
                from: UnsafeRawBufferPointer(rebasing: bytes))
        }
        pendingCount += bytes.count
    }

    private mutating func absorbPending() {
        let block = pending
        withUnsafeBytes(of: block) { bytes in
            if let base = bytes.assumingMemoryBound(to: UInt8.self).baseAddress { absorb(base, 1) }
        }
        pendingCount = 0
    }

    private mutating func absorb(_ blocks: UnsafePointer<UInt8>, _ count: Int) {
        withUnsafeMutableBytes(of: &state) { bytes in
            if let state = bytes.assumingMemoryBound(to: UInt32.self).baseAddress {
                ft_sha256_blocks(state, blocks, count)
            }
        }
    }
}

extension SHA256 {
    /// The 32 bytes that name some content.
    public struct Digest: Hashable, Sendable {
        /// The bytes in order, eight to a word, the first in the lowest bits.
        public let words: SIMD4<UInt64>

        public init(words: SIMD4<UInt64>) { self.words = words }

        public var bytes: [UInt8] { (0..<32).map { UInt8(truncatingIfNeeded: words[$0 / 8] >> (8 * ($0 % 8))) } }
    }
}

extension SHA256.Digest: CustomStringConvertible {
    /// Lower-case hexadecimal, 64 characters.
    public var description: String {
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }
}

extension FileBytes {
    /// SHA-256 of all bytes.
    public func digest() -> SHA256.Digest {
        var hash = SHA256()
        withUnsafeBytes { hash.update($0) }
        return hash.value
    }

    /// SHA-256 of all bytes in hexadecimal.
    public func sha256() -> String { digest().description }
}
