import TensorCore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

extension NDArray {
    /// Zeros that take no memory until they are read: for where an array's shape and type are wanted alone.
    ///
    /// Throws `FileError` when the system has no room for them.
    public init(blank shape: [Int], dtype: DType) throws(FileError) {
        let byteCount = elementCount(shape) * dtype.size
        guard byteCount > 0 else {
            self.init(uninitialized: shape, dtype: dtype)
            return
        }
        let pages = try BlankPages(byteCount)
        self.init(storage: Storage(borrowing: pages.bytes, owner: pages), shape: shape, dtype: dtype)
    }
}

/// Pages of zeros, which all are the system's one page of zeros.
private final class BlankPages {
    let bytes: UnsafeRawBufferPointer

    init(_ byteCount: Int) throws(FileError) {
        guard
            let base = mmap(nil, byteCount, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0),
            base != MAP_FAILED
        else { throw FileError("memory", errno: errno) }
        bytes = UnsafeRawBufferPointer(start: base, count: byteCount)
    }

    deinit { munmap(UnsafeMutableRawPointer(mutating: bytes.baseAddress), bytes.count) }
}
