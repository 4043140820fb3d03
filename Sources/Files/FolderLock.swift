#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// A folder that one process works in; the lock goes with the object, or with the process however it ends.
public final class FolderLock: Sendable {
    private let descriptor: Int32

    /// Throws `FileError` with the reason `inUse` when another process holds the lock.
    public init(path: String) throws(FileError) {
        descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw FileError(path, errno: errno) }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK else {
            close(descriptor)
            throw FileError(path, .inUse)
        }
    }

    deinit { close(descriptor) }
}
