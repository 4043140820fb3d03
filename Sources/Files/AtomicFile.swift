#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// A file that appears under its name complete or not at all.
///
/// Bytes go to a temporary file in the same folder; `commit()` flushes it to the disk and renames it. A link at the target
/// is replaced, never followed. Without `commit()` the temporary file is removed; one left behind by a killed process is
/// removed by the next writer of the same target.
///
/// ```swift
/// let file = try AtomicFile(path: "run/best.onnx")
/// try file.write(header)
/// try file.write(payload)
/// try file.commit()
/// ```
public final class AtomicFile {
    public let path: String
    /// Where the bytes are until `commit()`; complete after `flush()`.
    public let temporaryPath: String
    /// Bytes written so far.
    public private(set) var byteCount = 0

    private let folder: Descriptor
    private let targetName: String
    private let temporaryName: String
    private let descriptor: Descriptor
    private var isFinished = false
    private var buffer: [UInt8] = []
    private static let bufferSize = 1 << 16

    /// Prepares to write `path`; its folder must exist. An existing regular file keeps its permissions.
    public init(path: String) throws(FileError) {
        guard !path.isEmpty else { throw FileError(path, .emptyPath) }
        let folderPath = Folder.containing(path)
        let name = Folder.lastComponent(path)
        guard !name.isEmpty, name != ".", name != ".." else { throw FileError(path, .isDirectory) }
        folder = try Descriptor(folder: folderPath)
        let mode = try AtomicFile.checkTarget(name, in: folder, path: path)
        TemporaryName.removeAbandoned(in: folderPath, folder: folder) { TemporaryName.matches($0, name: name) }
        var temporaryName = ""
        descriptor = try AtomicFile.create(&temporaryName, for: name, in: folder, path: path)
        if let mode { fchmod(descriptor.number, mode) }
        self.path = path
        self.targetName = name
        self.temporaryName = temporaryName
        self.temporaryPath = folderPath == "/" ? "/" + temporaryName : folderPath + "/" + temporaryName
    }

    deinit {
        if !isFinished { unlinkat(folder.number, temporaryName, 0) }
    }

    /// Appends `bytes`.
    public func write(_ bytes: UnsafeRawBufferPointer) throws(FileError) {
        precondition(!isFinished, "write after commit")
        byteCount += bytes.count
        if buffer.count + bytes.count <= AtomicFile.bufferSize {
            buffer.append(contentsOf: bytes)
            return
        }
        try drain()
        if bytes.count >= AtomicFile.bufferSize {
            try writeAll(bytes)
        } else {
            buffer.append(contentsOf: bytes)
        }
    }

    /// Appends `bytes`.
    public func write(_ bytes: [UInt8]) throws(FileError) {
        try bytes.withUnsafeBufferPointer { (elements) throws(FileError) in try write(UnsafeRawBufferPointer(elements))
        }
    }

    /// Appends the UTF-8 bytes of `text`.
    public func write(_ text: String) throws(FileError) { try write(Array(text.utf8)) }

    /// Makes everything written so far readable at `temporaryPath` and durable on the disk.
    public func flush() throws(FileError) {
        try drain()
        while fsync(descriptor.number) != 0 {
            if errno == EINTR { continue }
            // Some file systems cannot flush; the bytes are written nevertheless.
            if errno == EINVAL || errno == ENOTSUP { break }
            throw FileError(path, errno: errno)
        }
    }

    /// Gives the file its name. Afterwards either the old or the new content is on the disk, whatever happens.
    ///
    /// - Parameter previousName: a name in the same folder that the file which was there before takes.
    public func commit(previousName: String? = nil) throws(FileError) {
        precondition(!isFinished, "commit called twice")
        try flush()
        if let previousName, renameat(folder.number, targetName, folder.number, previousName) != 0, errno != ENOENT {
            throw FileError(path, errno: errno)
        }
        guard renameat(folder.number, temporaryName, folder.number, targetName) == 0 else {
            throw FileError(path, errno: errno)
        }
        isFinished = true
        // The rename itself is durable only once the folder is.
        _ = fsync(folder.number)
    }

    /// Writes `bytes` to `path` in one go.
    public static func write(_ bytes: [UInt8], to path: String) throws(FileError) {
        let file = try AtomicFile(path: path)
        try file.write(bytes)
        try file.commit()
    }

    /// Writes the UTF-8 bytes of `text` to `path` in one go.
    public static func write(_ text: String, to path: String) throws(FileError) {
        try write(Array(text.utf8), to: path)
    }

    /// Removes what killed writers left in a folder that holds nothing but atomically written files.
    public static func removeAbandoned(in folderPath: String) {
        guard let folder = try? Descriptor(folder: folderPath) else { return }
        TemporaryName.removeAbandoned(in: folderPath, folder: folder) { $0.hasPrefix(".") && $0.hasSuffix(".tmp") }
    }

    private func drain() throws(FileError) {
        guard !buffer.isEmpty else { return }
        try buffer.withUnsafeBufferPointer { (elements) throws(FileError) in
            try writeAll(UnsafeRawBufferPointer(elements))
        }
        buffer.removeAll(keepingCapacity: true)
    }

    private func writeAll(_ bytes: UnsafeRawBufferPointer) throws(FileError) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let piece = UnsafeRawBufferPointer(rebasing: rest.prefix(1 << 30))
            #if canImport(Glibc)
                let written = Glibc.write(descriptor.number, piece.baseAddress, piece.count)
            #else
                let written = Musl.write(descriptor.number, piece.baseAddress, piece.count)
            #endif
            if written < 0 && errno == EINTR { continue }
            guard written >= 0 else { throw FileError(path, errno: errno) }
            rest = rest.dropFirst(written)
        }
    }

    /// The permissions to keep, or nil when there is no regular file yet. Devices, FIFOs and folders are refused.
    private static func checkTarget(
        _ name: String, in folder: borrowing Descriptor, path: String
    ) throws(FileError) -> mode_t? {
        var status = stat()
        guard fstatat(folder.number, name, &status, AT_SYMLINK_NOFOLLOW) == 0 else {
            if errno == ENOENT { return nil }
            throw FileError(path, errno: errno)
        }
        if status.st_mode & S_IFMT == S_IFLNK { return nil }
        try requireRegular(status, path: path)
        return status.st_mode & 0o777
    }

    /// Creates and locks a temporary file for `target`. The lock tells `removeAbandoned` that its writer lives.
    private static func create(
        _ name: inout String, for target: String, in folder: borrowing Descriptor, path: String
    ) throws(FileError) -> Descriptor {
        for _ in 0..<100 {
            name = TemporaryName.random(for: target)
            let number = openat(folder.number, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o666)
            if number < 0 && errno == EEXIST { continue }
            guard number >= 0 else { throw FileError(path, errno: errno) }
            let descriptor = Descriptor(adopting: number)
            flock(number, LOCK_EX)
            // Between creation and lock another writer may have taken it for abandoned.
            if try descriptor.status(path: path).st_nlink > 0 { return descriptor }
        }
        throw FileError(path, .system(EEXIST))
    }
}

/// Names of temporary files: `.NAME.0123456789abcdef.tmp`.
enum TemporaryName {
    private static let suffix = ".tmp"

    private static func prefix(for name: String) -> String {
        // NAME_MAX is 255 bytes; the rest of the name takes 22.
        "." + String(decoding: name.utf8.prefix(200), as: UTF8.self) + "."
    }

    static func random(for name: String) -> String {
        let digits = String(UInt64.random(in: .min ... .max), radix: 16)
        return prefix(for: name) + String(repeating: "0", count: 16 - digits.count) + digits + suffix
    }

    static func matches(_ candidate: String, name: String) -> Bool {
        let prefix = prefix(for: name)
        guard candidate.hasPrefix(prefix), candidate.hasSuffix(suffix) else { return false }
        let digits = candidate.dropFirst(prefix.count).dropLast(suffix.count)
        return digits.count == 16 && digits.allSatisfy { $0.isHexDigit }
    }

    /// Removes those temporary files among `isMeant` whose writer no longer holds the lock.
    static func removeAbandoned(in folderPath: String, folder: borrowing Descriptor, _ isMeant: (String) -> Bool) {
        guard let stream = opendir(folderPath) else { return }
        defer { closedir(stream) }
        while let entry = readdir(stream) {
            let candidate = withUnsafeBytes(of: &entry.pointee.d_name) { raw in
                String(decoding: raw.prefix { $0 != 0 }, as: UTF8.self)
            }
            guard isMeant(candidate) else { continue }
            let number = openat(folder.number, candidate, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK)
            guard number >= 0 else { continue }
            let descriptor = Descriptor(adopting: number)
            if flock(descriptor.number, LOCK_EX | LOCK_NB) == 0 { unlinkat(folder.number, candidate, 0) }
        }
    }
}
