import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Bytes held by live `Storage` objects that own their memory.
public enum StorageStatistics {
    private static let live = Atomic<Int>(0)
    private static let peak = Atomic<Int>(0)

    /// Bytes allocated and not yet released.
    public static var liveBytes: Int { live.load(ordering: .relaxed) }

    /// Largest `liveBytes` since the process started or since `resetPeak()`.
    public static var peakBytes: Int { peak.load(ordering: .relaxed) }

    /// Sets the peak to what is live now.
    public static func resetPeak() { peak.store(liveBytes, ordering: .relaxed) }

    @usableFromInline static func add(_ byteCount: Int) {
        let now = live.wrappingAdd(byteCount, ordering: .relaxed).newValue
        if now > peak.load(ordering: .relaxed) { peak.max(now, ordering: .relaxed) }
    }

    @usableFromInline static func remove(_ byteCount: Int) {
        live.wrappingSubtract(byteCount, ordering: .relaxed)
    }
}

/// The one owner of an array's memory.
///
/// Memory is either allocated here (64-byte aligned from 256 bytes on, released in `deinit`) or borrowed from `owner`,
/// which is kept alive and whose bytes must never change.
///
/// `@unchecked Sendable` holds because bytes are written only through `NDArray`, which first makes sure that it is the
/// only reference to an owning storage; borrowed bytes are never written.
public final class Storage: @unchecked Sendable {
    public let pointer: UnsafeMutableRawPointer
    public let byteCount: Int
    private let owner: AnyObject?
    /// Size of the block from `LargeBlocks`, 0 for others.
    private let blockSize: Int

    /// Uninitialised memory of `byteCount` bytes.
    public init(byteCount: Int) {
        precondition(byteCount >= 0, "negative byte count")
        self.byteCount = byteCount
        self.owner = nil
        if byteCount >= LargeBlocks.threshold {
            (pointer, blockSize) = LargeBlocks.allocate(byteCount)
        } else {
            pointer = UnsafeMutableRawPointer.allocate(
                byteCount: max(byteCount, 1), alignment: byteCount >= 256 ? 64 : 16)
            blockSize = 0
        }
        StorageStatistics.add(byteCount)
    }

    /// Borrows `bytes` from `owner`, for example a memory-mapped file.
    public init(borrowing bytes: UnsafeRawBufferPointer, owner: AnyObject) {
        self.byteCount = bytes.count
        self.owner = owner
        self.blockSize = 0
        // An empty borrowed range may have no address; the placeholder is never read.
        self.pointer = UnsafeMutableRawPointer(
            mutating: bytes.baseAddress ?? UnsafeRawPointer(bitPattern: 64).unsafelyUnwrapped)
    }

    /// False when the bytes belong to someone else and must not be written.
    public var isOwning: Bool { owner == nil }

    deinit {
        guard owner == nil else { return }
        StorageStatistics.remove(byteCount)
        if blockSize > 0 {
            LargeBlocks.release(pointer, size: blockSize, live: StorageStatistics.liveBytes)
        } else {
            pointer.deallocate()
        }
    }
}
