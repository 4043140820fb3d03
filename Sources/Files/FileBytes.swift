import TensorCore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// The bytes of a regular file, held until released.
///
/// Mapped bytes cost nothing until touched and are backed by the file: somebody who truncates the file in place while it
/// is mapped ends the process (SIGBUS), as in every program that maps files; replacing it by rename is harmless.
/// Copied bytes are independent of the file.
///
/// `@unchecked Sendable` holds because the bytes are never written after `init`.
public final class FileBytes: @unchecked Sendable {
    public enum Access: Sendable {
        case mapped
        case copied
    }

    /// Where the bytes came from, for messages.
    public let path: String
    public let count: Int
    private let base: UnsafeRawPointer
    private let backing: Backing
    private let stamp: FileStamp?

    private enum Backing {
        case mapped
        case allocated
    }

    /// Opens and holds `path`, following symbolic links.
    ///
    /// Throws when the file is missing, not regular, not readable or larger than `limit` bytes.
    public convenience init(path: String, limit: Int = .max, access: Access = .mapped) throws(FileError) {
        let descriptor = try Descriptor(path: path)
        try self.init(descriptor: descriptor, path: path, limit: limit, access: access)
    }

    /// Holds what `descriptor` refers to.
    convenience init(descriptor: borrowing Descriptor, path: String, limit: Int, access: Access) throws(FileError) {
        let stamp = try descriptor.stampOfRegularFile(path: path)
        guard stamp.size <= limit else { throw FileError(path, .tooLarge(byteCount: stamp.size, limit: limit)) }
        switch access {
        case .mapped where stamp.size > 0:
            guard let base = mmap(nil, stamp.size, PROT_READ, MAP_PRIVATE, descriptor.number, 0), base != MAP_FAILED
            else { throw FileError(path, errno: errno) }
            self.init(path: path, count: stamp.size, base: UnsafeRawPointer(base), backing: .mapped, stamp: stamp)
        default:
            let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: max(stamp.size, 1), alignment: 64)
            do throws(FileError) {
                try descriptor.readAll(into: UnsafeMutableRawBufferPointer(rebasing: memory[..<stamp.size]), path: path)
            } catch {
                memory.deallocate()
                throw error
            }
            guard let base = memory.baseAddress else { throw FileError(path, .system(ENOMEM)) }
            self.init(path: path, count: stamp.size, base: UnsafeRawPointer(base), backing: .allocated, stamp: stamp)
        }
    }

    /// Copies bytes that did not come from a file; `path` is what messages call them.
    public init(_ bytes: some Collection<UInt8>, path: String) {
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: max(bytes.count, 1), alignment: 64)
        memory.copyBytes(from: bytes)
        self.path = path
        self.count = bytes.count
        self.base = UnsafeRawPointer(memory.baseAddress.unsafelyUnwrapped)
        self.backing = .allocated
        self.stamp = nil
    }

    private init(path: String, count: Int, base: UnsafeRawPointer, backing: Backing, stamp: FileStamp) {
        self.path = path
        self.count = count
        self.base = base
        self.backing = backing
        self.stamp = stamp
    }

    deinit {
        switch backing {
        case .mapped: munmap(UnsafeMutableRawPointer(mutating: base), count)
        case .allocated: UnsafeMutableRawPointer(mutating: base).deallocate()
        }
    }

    /// Lends the bytes to `body`.
    @inline(__always)
    public func withUnsafeBytes<R, E: Error>(_ body: (UnsafeRawBufferPointer) throws(E) -> R) throws(E) -> R {
        defer { withExtendedLifetime(self) {} }
        return try body(UnsafeRawBufferPointer(start: base, count: count))
    }

    /// The bytes themselves, for a `Storage` that keeps this object alive.
    var unsafeBytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base, count: count) }

    /// Gives the memory of mapped pages that lie wholly inside `range` back; touching them again reads the file again.
    public func releasePages(of range: Range<Int>) {
        guard case .mapped = backing else { return }
        let pageSize = Int(sysconf(Int32(_SC_PAGESIZE)))
        let first = (range.lowerBound + pageSize - 1) / pageSize * pageSize
        let last = range.upperBound == count ? count : range.upperBound / pageSize * pageSize
        guard first < last else { return }
        madvise(UnsafeMutableRawPointer(mutating: base + first), last - first, MADV_DONTNEED)
    }

    /// Throws `changed` when mapped bytes can no longer be those that were validated: the file was written in place.
    public func checkUnchanged() throws(FileError) {
        guard case .mapped = backing, let stamp else { return }
        // The name may lead to a new file by now, which is harmless; only the same inode matters.
        guard let descriptor = try? Descriptor(path: path), let now = try? descriptor.stampOfRegularFile(path: path),
            now.device == stamp.device, now.inode == stamp.inode
        else { return }
        guard now == stamp else { throw FileError(path, .changed) }
    }

    /// True when both hold the same file of the file system.
    public func isSameFile(as other: FileBytes) -> Bool {
        guard let a = stamp, let b = other.stamp else { return self === other }
        return a.device == b.device && a.inode == b.inode
    }

    /// True when both hold equal bytes.
    public func hasEqualBytes(_ other: FileBytes) -> Bool {
        self === other || equalBytes(unsafeBytes, other.unsafeBytes)
    }
}

/// What identifies one state of a file.
struct FileStamp: Equatable {
    var device: UInt64
    var inode: UInt64
    var size: Int
    var modifiedSeconds: Int
    var modifiedNanoseconds: Int
}

/// An open file descriptor, closed with its owner.
struct Descriptor: ~Copyable {
    let number: Int32

    init(adopting number: Int32) { self.number = number }

    /// Opens `path` for reading. O_NONBLOCK keeps a FIFO from waiting for a writer.
    init(path: String) throws(FileError) {
        guard !path.isEmpty else { throw FileError(path, .emptyPath) }
        let number = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)
        guard number >= 0 else {
            // A socket cannot be opened at all; say so rather than "no such device".
            if errno == ENXIO { throw FileError(path, .notRegular("a socket or device")) }
            throw FileError(path, errno: errno)
        }
        self.number = number
    }

    /// Opens the folder at `path`.
    init(folder path: String) throws(FileError) {
        let number = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard number >= 0 else { throw FileError(path, errno: errno) }
        self.number = number
    }

    deinit { close(number) }

    func status(path: String) throws(FileError) -> stat {
        var status = stat()
        guard fstat(number, &status) == 0 else { throw FileError(path, errno: errno) }
        return status
    }

    func stampOfRegularFile(path: String) throws(FileError) -> FileStamp {
        let status = try status(path: path)
        try requireRegular(status, path: path)
        return FileStamp(
            device: UInt64(status.st_dev), inode: UInt64(status.st_ino), size: Int(status.st_size),
            modifiedSeconds: Int(status.st_mtim.tv_sec), modifiedNanoseconds: Int(status.st_mtim.tv_nsec))
    }

    func readAll(into buffer: UnsafeMutableRawBufferPointer, path: String) throws(FileError) {
        var filled = 0
        while filled < buffer.count, let base = buffer.baseAddress {
            let got = read(number, base + filled, buffer.count - filled)
            if got < 0 && errno == EINTR { continue }
            guard got >= 0 else { throw FileError(path, errno: errno) }
            guard got > 0 else { throw FileError(path, .changed) }
            filled += got
        }
    }
}

/// Throws for everything but a regular file.
func requireRegular(_ status: stat, path: String) throws(FileError) {
    switch status.st_mode & S_IFMT {
    case S_IFREG: return
    case S_IFDIR: throw FileError(path, .isDirectory)
    case S_IFLNK: throw FileError(path, .symbolicLink)
    case S_IFIFO: throw FileError(path, .notRegular("a FIFO"))
    case S_IFCHR, S_IFBLK: throw FileError(path, .notRegular("a device"))
    case S_IFSOCK: throw FileError(path, .notRegular("a socket"))
    default: throw FileError(path, .notRegular("something else"))
    }
}
