import Synchronization

/// Temporary memory of kernels and of programs that call them, kept for the next one that asks: pages that were used before
/// cost nothing to use again.
public enum Scratch {
    /// Buffers kept at most: a program's and its kernel's. More are in use only while several threads compute.
    private static let limit = 2
    private static let free = Mutex<[Storage]>([])

    /// Calls `body` with `byteCount` bytes of 64-byte aligned memory of undefined content.
    public static func withBytes<R>(_ byteCount: Int, _ body: (UnsafeMutableRawPointer) throws -> R) rethrows -> R {
        let storage = take(byteCount)
        defer { give(storage) }
        return try body(storage.pointer)
    }

    /// At least `byteCount` bytes of 64-byte aligned memory of undefined content, for whoever keeps it longer than a call.
    public static func take(_ byteCount: Int) -> Storage {
        kept(byteCount) ?? Storage(byteCount: max(byteCount, 4096))
    }

    /// Returns all kept memory to the system.
    public static func releaseAll() { free.withLock { $0.removeAll() } }

    private static func kept(_ byteCount: Int) -> Storage? {
        free.withLock { buffers in
            guard let index = buffers.firstIndex(where: { $0.byteCount >= byteCount }) else { return nil }
            return buffers.remove(at: index)
        }
    }

    /// Takes memory back that `take` handed out. The largest buffers are kept, smallest first.
    public static func give(_ storage: Storage) {
        let hasGrown = free.withLock { buffers in
            let index = buffers.firstIndex { $0.byteCount >= storage.byteCount } ?? buffers.endIndex
            buffers.insert(storage, at: index)
            guard buffers.count > limit else { return false }
            buffers.removeFirst()
            return true
        }
        // A larger one took the place of one that nobody will ask for again.
        if hasGrown { LargeBlocks.releaseIdle() }
    }
}
