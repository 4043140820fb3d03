#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// A file that grows at its end, and of which a process that was killed may have left too much.
public enum GrowingFile {
    /// Puts `bytes` behind the first `offset` bytes of the file at `path`, flushed to the disk; what stood there goes. The file
    /// is made if there is none. Throws `FileError`: `changed` for a file that has fewer bytes.
    public static func write(_ bytes: [UInt8], to path: String, at offset: Int) throws(FileError) {
        let number = open(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0o666)
        guard number >= 0 else { throw FileError(path, errno: errno) }
        let descriptor = Descriptor(adopting: number)
        let size = try descriptor.statusOfRegularFile(path: path).byteCount
        guard size >= offset else { throw FileError(path, .changed) }
        if size > offset, ftruncate(number, offset) != 0 { throw FileError(path, errno: errno) }
        var written = 0
        while written < bytes.count {
            let count = bytes.withUnsafeBytes { raw in
                pwrite(number, raw.baseAddress.map { $0 + written }, raw.count - written, offset + written)
            }
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { throw FileError(path, errno: errno) }
            written += count
        }
        // Some file systems cannot flush; the bytes are written nevertheless.
        while fsync(number) != 0, errno != EINVAL, errno != ENOTSUP {
            if errno != EINTR { throw FileError(path, errno: errno) }
        }
    }
}
