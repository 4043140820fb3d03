import CFiles

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Which files a file may name.
public enum PathPolicy: Sendable {
    /// Only a regular file of its own (one hard link) below the folder, reached without `..` and without any link.
    case beneathFolder
    /// Any regular file the process can read; relative paths start at the folder.
    case anywhere
}

/// An open folder in which file names that come from untrusted data are looked up.
///
/// The folder is held open, so exchanging a parent folder for a link in the meantime changes nothing.
public final class Folder: Sendable {
    public let path: String
    private let descriptor: Descriptor

    /// Opens the folder at `path`. Throws `FileError`.
    public init(path: String) throws(FileError) {
        let path = path.isEmpty ? "." : path
        self.descriptor = try Descriptor(folder: path)
        self.path = path
    }

    /// The folder part of `path`: everything before the last slash, `.` without one.
    public static func containing(_ path: String) -> String {
        guard let slash = path.utf8.lastIndex(of: Folder.slash) else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    /// The last component of `path`.
    public static func lastComponent(_ path: String) -> String {
        guard let slash = path.utf8.lastIndex(of: Folder.slash) else { return path }
        return String(path[path.utf8.index(after: slash)...])
    }

    /// `name` put below this folder's path, for messages.
    public func joined(_ name: String) -> String {
        if name.utf8.first == Folder.slash { return name }
        return path == "." ? name : path.utf8.last == Folder.slash ? path + name : path + "/" + name
    }

    /// Makes the folder at `path` and those above it, where they are missing. Throws `FileError`.
    public static func make(_ path: String) throws(FileError) {
        guard !path.isEmpty else { throw FileError(path, .emptyPath) }
        if mkdir(path, 0o777) == 0 || errno == EEXIST { return }
        guard errno == ENOENT else { throw FileError(path, errno: errno) }
        try make(containing(path))
        guard mkdir(path, 0o777) == 0 || errno == EEXIST else { throw FileError(path, errno: errno) }
    }

    /// Opens the file `name` under `policy` and holds its bytes.
    public func read(
        _ name: String, policy: PathPolicy = .beneathFolder, limit: Int = .max, access: FileBytes.Access = .mapped
    ) throws(FileError) -> FileBytes {
        let full = joined(name)
        guard policy == .beneathFolder else {
            return try FileBytes(path: full, limit: limit, access: access)
        }
        try Folder.checkComponents(of: name)
        let descriptor = try openBeneath(name)
        let status = try descriptor.status(path: full)
        try requireRegular(status, path: full)
        guard status.st_nlink == 1 else { throw FileError(full, .hardLinks(Int(status.st_nlink))) }
        return try FileBytes(descriptor: descriptor, path: full, limit: limit, access: access)
    }

    /// Throws unless `name` is relative, not empty, and free of `..` and NUL.
    public static func checkComponents(of name: String) throws(FileError) {
        guard !name.isEmpty else { throw FileError(name, .emptyPath) }
        guard name.utf8.first != slash else { throw FileError(name, .absolutePath) }
        guard !name.utf8.contains(0) else { throw FileError(name, .system(EINVAL)) }
        guard !components(of: name).contains("..") else { throw FileError(name, .outsideFolder) }
    }

    /// The system cuts paths at bytes, Swift at characters: one that combines with a slash hides it.
    private static let slash = UInt8(ascii: "/")

    /// The parts of a relative path, without empty ones and `.`.
    public static func components(of name: String) -> [String] {
        name.utf8.split(separator: slash).map { String(Substring($0)) }.filter { $0 != "." }
    }

    private func openBeneath(_ name: String) throws(FileError) -> Descriptor {
        let result = ft_open_beneath(descriptor.number, name)
        if result >= 0 { return Descriptor(adopting: result) }
        // Kernels before 5.6 and some sandboxes have no openat2.
        if [ENOSYS, EINVAL, EPERM, E2BIG].contains(-result) { return try walk(name) }
        throw FileError(joined(name), errno: -result)
    }

    /// Opens one component after the other, none of which may be a link. Without `..` this cannot leave the folder.
    func walk(_ name: String) throws(FileError) -> Descriptor {
        let components = Folder.components(of: name)
        guard let last = components.last else { throw FileError(joined(name), .isDirectory) }
        var current = Descriptor(adopting: dup(descriptor.number))
        for component in components.dropLast() {
            let next = openat(current.number, component, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
            guard next >= 0 else {
                // A link met with O_DIRECTORY | O_NOFOLLOW is reported as "not a directory".
                let code = errno
                throw FileError(joined(name), errno: isLink(component, in: current) ? ELOOP : code)
            }
            current = Descriptor(adopting: next)
        }
        let file = openat(current.number, last, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)
        guard file >= 0 else { throw FileError(joined(name), errno: errno) }
        return Descriptor(adopting: file)
    }

    /// Creates the folders that `name` goes through, where they are missing; none of them may be a link.
    public func createFolders(for name: String) throws(FileError) {
        var current = Descriptor(adopting: dup(descriptor.number))
        for component in Folder.components(of: name).dropLast() {
            if mkdirat(current.number, component, 0o777) != 0 && errno != EEXIST {
                throw FileError(joined(name), errno: errno)
            }
            let next = openat(current.number, component, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
            guard next >= 0 else {
                let code = errno
                throw FileError(joined(name), errno: isLink(component, in: current) ? ELOOP : code)
            }
            current = Descriptor(adopting: next)
        }
    }

    private func isLink(_ component: String, in folder: borrowing Descriptor) -> Bool {
        var status = stat()
        return fstatat(folder.number, component, &status, AT_SYMLINK_NOFOLLOW) == 0
            && status.st_mode & S_IFMT == S_IFLNK
    }
}
