import Synchronization

/// Temporary memory for kernels, kept between calls: pages that were used before cost nothing to use again.
public enum Scratch {
    /// Buffers kept at most; more are in use only while several threads call kernels.
    private static let limit = 2
    private static let free = Mutex<[Storage]>([])

    /// Calls `body` with `byteCount` bytes of 64-byte aligned memory of undefined content.
    public static func withBytes<R>(_ byteCount: Int, _ body: (UnsafeMutableRawPointer) throws -> R) rethrows -> R {
        let storage = take(byteCount) ?? Storage(byteCount: max(byteCount, 4096))
        defer { give(storage) }
        return try body(storage.pointer)
    }

    /// Returns all kept memory to the system.
    public static func releaseAll() { free.withLock { $0.removeAll() } }

    private static func take(_ byteCount: Int) -> Storage? {
        free.withLock { buffers in
            guard let index = buffers.firstIndex(where: { $0.byteCount >= byteCount }) else { return nil }
            return buffers.remove(at: index)
        }
    }

    /// Keeps the largest buffers, smallest first.
    private static func give(_ storage: Storage) {
        free.withLock { buffers in
            let index = buffers.firstIndex { $0.byteCount >= storage.byteCount } ?? buffers.endIndex
            buffers.insert(storage, at: index)
            if buffers.count > limit { buffers.removeFirst() }
        }
    }
}
