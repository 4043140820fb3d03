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
    /// How bytes come into memory.
    public enum Access: Sendable {
        case mapped
        case copied
    }

    /// Where the bytes came from, for messages.
    public let path: String
    public let count: Int
    private let base: UnsafeRawPointer
    private let backing: Backing
    private let status: FileStatus?

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
        let status = try descriptor.statusOfRegularFile(path: path)
        guard status.byteCount <= limit else {
            throw FileError(path, .tooLarge(byteCount: status.byteCount, limit: limit))
        }
        switch access {
        case .mapped where status.byteCount > 0:
            guard let base = mmap(nil, status.byteCount, PROT_READ, MAP_PRIVATE, descriptor.number, 0),
                base != MAP_FAILED
            else { throw FileError(path, errno: errno) }
            self.init(
                path: path, count: status.byteCount, base: UnsafeRawPointer(base), backing: .mapped, status: status)
        default:
            let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: max(status.byteCount, 1), alignment: 64)
            do throws(FileError) {
                try descriptor.readAll(
                    into: UnsafeMutableRawBufferPointer(rebasing: memory[..<status.byteCount]), path: path)
            } catch {
                memory.deallocate()
                throw error
            }
            guard let base = memory.baseAddress else { throw FileError(path, .system(ENOMEM)) }
            self.init(
                path: path, count: status.byteCount, base: UnsafeRawPointer(base), backing: .allocated, status: status)
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
        self.status = nil
    }

    private init(path: String, count: Int, base: UnsafeRawPointer, backing: Backing, status: FileStatus) {
        self.path = path
        self.count = count
        self.base = base
        self.backing = backing
        self.status = status
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
        guard case .mapped = backing, let status else { return }
        // The name may lead to a new file by now, which is harmless; only the same inode matters.
        guard let descriptor = try? Descriptor(path: path), let now = try? descriptor.statusOfRegularFile(path: path),
            now.isSameFile(as: status)
        else { return }
        guard now.hasSameContent(as: status) else { throw FileError(path, .changed) }
    }

    /// True when both hold the same file of the file system.
    public func isSameFile(as other: FileBytes) -> Bool {
        guard let a = status, let b = other.status else { return self === other }
        return a.isSameFile(as: b)
    }

    /// True when both hold equal bytes.
    public func hasEqualBytes(_ other: FileBytes) -> Bool {
        self === other || equalBytes(unsafeBytes, other.unsafeBytes)
    }
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

    func statusOfRegularFile(path: String) throws(FileError) -> FileStatus {
        let status = try status(path: path)
        try requireRegular(status, path: path)
        return FileStatus(status)
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
