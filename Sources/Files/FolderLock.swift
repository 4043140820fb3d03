#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// A folder that one process works in; the lock goes with the object, or with the process however it ends.
public final class FolderLock: Sendable {
    private let folder: Descriptor

    /// Throws `FileError` with the reason `inUse` when another process holds the lock.
    public init(path: String) throws(FileError) {
        folder = try Descriptor(folder: path)
        guard flock(folder.number, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK else {
            throw FileError(path, .inUse)
        }
    }
}
