import CFiles

/// SHA-256 (FIPS 180-4), as `sha256sum` prints it.
public struct SHA256: Sendable {
    private var state: [UInt32] = [
        0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19,
    ]
    private var pending: [UInt8] = []
    private var byteCount: UInt64 = 0

    /// The hash of no bytes.
    public init() {}

    /// Absorbs `bytes`.
    public mutating func update(_ bytes: UnsafeRawBufferPointer) {
        byteCount += UInt64(bytes.count)
        var rest = bytes[...]
        if !pending.isEmpty {
            let needed = rest.prefix(64 - pending.count)
            pending.append(contentsOf: needed)
            rest = rest.dropFirst(needed.count)
            guard pending.count == 64 else { return }
            pending.withUnsafeBytes { absorb($0[...]) }
            pending.removeAll(keepingCapacity: true)
        }
        let whole = rest.count / 64 * 64
        absorb(rest.prefix(whole))
        pending.append(contentsOf: rest.dropFirst(whole))
    }

    /// Absorbs `bytes`.
    public mutating func update(_ bytes: [UInt8]) { bytes.withUnsafeBytes { update($0) } }

    /// The digest of everything absorbed, 32 bytes.
    public func digest() -> [UInt8] {
        var copy = self
        let zeros = (119 - pending.count) % 64
        let bits = byteCount &* 8
        let length = (0..<8).map { UInt8(truncatingIfNeeded: bits >> (56 - 8 * $0)) }
        copy.update([0x80] + [UInt8](repeating: 0, count: zeros) + length)
        return copy.state.flatMap { word in (0..<4).map { UInt8(truncatingIfNeeded: word >> (24 - 8 * $0)) } }
    }

    /// The digest in lower-case hexadecimal, 64 characters.
    public func hexDigest() -> String { value.description }

    /// The digest of everything absorbed.
    public var value: Digest { Digest(digest()) }

    private mutating func absorb(_ blocks: Slice<UnsafeRawBufferPointer>) {
        guard !blocks.isEmpty else { return }
        let base = UnsafeRawBufferPointer(rebasing: blocks).assumingMemoryBound(to: UInt8.self).baseAddress
        ft_sha256_blocks(&state, base, blocks.count / 64)
    }
}

extension SHA256 {
    /// The 32 bytes that name some content.
    public struct Digest: Hashable, Sendable {
        /// The bytes in order, eight to a word, the first in the lowest bits.
        public let words: SIMD4<UInt64>

        public init(words: SIMD4<UInt64>) { self.words = words }

        init(_ bytes: [UInt8]) {
            var words = SIMD4<UInt64>()
            for (index, byte) in bytes.enumerated() { words[index / 8] |= UInt64(byte) << (8 * (index % 8)) }
            self.words = words
        }

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
