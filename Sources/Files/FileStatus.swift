#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// What the file system says of a file: what it is, which one, and in which state.
public struct FileStatus: Hashable, Sendable {
    /// What a path leads to.
    public enum Kind: Sendable {
        case folder, file, other
    }

    public let kind: Kind
    /// With `inode`, what tells the file from every other one.
    public let device: UInt64
    public let inode: UInt64
    public let byteCount: Int
    /// When the content was changed last, in seconds since 1970 and nanoseconds.
    public let modifiedSeconds: Int
    public let modifiedNanoseconds: Int
    /// When content, owner, permissions or links were changed last.
    public let changedSeconds: Int
    public let changedNanoseconds: Int

    /// Asks for `path`; links are followed. Throws `FileError`.
    public init(path: String) throws(FileError) {
        var status = stat()
        guard stat(path, &status) == 0 else { throw FileError(path, errno: errno) }
        self.init(status)
    }

    /// Asks for the file that a descriptor of the caller's is open on. Throws `FileError`, whose path is `path`.
    public init(descriptor: Int32, path: String) throws(FileError) {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw FileError(path, errno: errno) }
        self.init(status)
    }

    init(_ status: stat) {
        switch status.st_mode & S_IFMT {
        case S_IFDIR: kind = .folder
        case S_IFREG: kind = .file
        default: kind = .other
        }
        (device, inode) = (UInt64(status.st_dev), UInt64(status.st_ino))
        byteCount = Int(status.st_size)
        (modifiedSeconds, modifiedNanoseconds) = (Int(status.st_mtim.tv_sec), Int(status.st_mtim.tv_nsec))
        (changedSeconds, changedNanoseconds) = (Int(status.st_ctim.tv_sec), Int(status.st_ctim.tv_nsec))
    }

    /// True for the same file of the file system, in whatever state.
    public func isSameFile(as other: FileStatus) -> Bool { device == other.device && inode == other.inode }

    /// True when the content is, as far as size and time tell.
    func hasSameContent(as other: FileStatus) -> Bool {
        isSameFile(as: other) && byteCount == other.byteCount && modifiedSeconds == other.modifiedSeconds
            && modifiedNanoseconds == other.modifiedNanoseconds
    }
}
