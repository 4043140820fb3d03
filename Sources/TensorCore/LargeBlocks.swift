import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Memory of large arrays. Blocks that are given back are kept for the next array of about that size: their pages are
/// there already, where new memory would be cleared by the system page by page.
enum LargeBlocks {
    /// Smaller blocks come from the C library.
    static let threshold = 1 << 20
    private static let granularity = 1 << 16
    /// From here on pages of 2 MB are worth asking for.
    private static let hugePageThreshold = 4 << 20
    /// Idle bytes kept at least, and as a share of the bytes in use.
    private static let idleFloor = 16 << 20
    private static let idleShare = 2

    private struct Idle {
        /// In the order in which they were given back. Addresses as numbers: a pointer cannot cross the lock.
        var blocks: [(address: UInt, size: Int)] = []
        var bytes = 0
    }
    private static let idle = Mutex(Idle())

    /// A block of at least `byteCount` bytes and its size. Contents are undefined.
    static func allocate(_ byteCount: Int) -> (pointer: UnsafeMutableRawPointer, size: Int) {
        let wanted = (byteCount + granularity - 1) / granularity * granularity
        let found = idle.withLock { idle -> (UInt, Int)? in
            let fitting = idle.blocks.indices.filter { (wanted...wanted + wanted / 4).contains(idle.blocks[$0].size) }
            guard let best = fitting.min(by: { idle.blocks[$0].size < idle.blocks[$1].size }) else { return nil }
            let block = idle.blocks.remove(at: best)
            idle.bytes -= block.size
            return (block.address, block.size)
        }
        if let (address, size) = found, let pointer = UnsafeMutableRawPointer(bitPattern: address) {
            return (pointer, size)
        }
        let isHuge = wanted >= hugePageThreshold
        let pointer = UnsafeMutableRawPointer.allocate(byteCount: wanted, alignment: isHuge ? 2 << 20 : 64)
        #if os(Linux)
            // MADV_HUGEPAGE. Advice only: without huge pages everything still works.
            if isHuge { _ = madvise(pointer, wanted, 14) }
        #endif
        return (pointer, wanted)
    }

    /// Returns all idle blocks to the system.
    static func releaseIdle() {
        let blocks = idle.withLock { idle in
            defer { idle = Idle() }
            return idle.blocks
        }
        for block in blocks { UnsafeMutableRawPointer(bitPattern: block.address)?.deallocate() }
    }

    /// Takes a block back that `allocate` handed out with `size`; `live` is how many bytes stay in use.
    static func release(_ pointer: UnsafeMutableRawPointer, size: Int, live: Int) {
        let limit = max(idleFloor, live / idleShare)
        let address = UInt(bitPattern: pointer)
        let surplus = idle.withLock { idle -> [UInt] in
            idle.blocks.append((address, size))
            idle.bytes += size
            var surplus: [UInt] = []
            while idle.bytes > limit, let oldest = idle.blocks.first {
                idle.blocks.removeFirst()
                idle.bytes -= oldest.size
                surplus.append(oldest.address)
            }
            return surplus
        }
        for address in surplus { UnsafeMutableRawPointer(bitPattern: address)?.deallocate() }
    }
}
