#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// A file that cannot be read or written, and why; the text is `PATH: REASON`.
public struct FileError: Error, CustomStringConvertible, Equatable {
    /// What is wrong with the file.
    public enum Reason: Equatable, Sendable {
        case missing
        case isDirectory
        /// A file where the path, or who asked, has a folder.
        case notDirectory
        case notPermitted
        /// A FIFO, device or socket; the text names it.
        case notRegular(String)
        case tooLarge(byteCount: Int, limit: Int)
        case diskFull
        case readOnly
        /// An absolute path where one below a folder is required.
        case absolutePath
        /// A path that leaves its folder, through `..` or otherwise.
        case outsideFolder
        case symbolicLink
        /// A file that other names share.
        case hardLinks(Int)
        /// Changed by somebody else while it was in use.
        case changed
        case emptyPath
        /// A folder that another process works in.
        case inUse
        /// Any other failure, as `errno`.
        case system(Int32)
    }

    public let path: String
    public let reason: Reason

    public init(_ path: String, _ reason: Reason) {
        self.path = path
        self.reason = reason
    }

    /// Translates `errno`.
    public init(_ path: String, errno code: Int32) {
        self.path = path
        switch code {
        case ENOENT: reason = .missing
        case ENOTDIR: reason = .notDirectory
        case EISDIR: reason = .isDirectory
        case EACCES, EPERM: reason = .notPermitted
        case ENOSPC, EDQUOT: reason = .diskFull
        case EROFS: reason = .readOnly
        case ELOOP: reason = .symbolicLink
        case EXDEV: reason = .outsideFolder
        default: reason = .system(code)
        }
    }

    public var description: String { path.isEmpty ? "\(reason)" : "\(path.shown): \(reason)" }
}

extension FileError.Reason: CustomStringConvertible {
    public var description: String {
        switch self {
        case .missing: "no such file or folder"
        case .isDirectory: "is a folder, not a file"
        case .notDirectory: "a file is where a folder is expected"
        case .notPermitted: "permission denied"
        case .notRegular(let kind): "is \(kind), not a regular file"
        case .tooLarge(let byteCount, let limit): "has \(byteCount) bytes, more than the limit of \(limit)"
        case .diskFull: "no space left on the device"
        case .readOnly: "the file system is read-only"
        case .absolutePath: "is an absolute path; only files below the model's folder may be named"
        case .outsideFolder: "leads out of the folder"
        case .symbolicLink: "is or goes through a symbolic link"
        case .hardLinks(let count): "has \(count) hard links; only a file of its own may be named"
        case .changed: "was changed while in use"
        case .emptyPath: "empty path"
        case .inUse: "is in use by another process"
        case .system(let code): String(cString: strerror(code))
        }
    }
}
