#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// The few questions about folders that finding pictures needs, answered with the system's error text.
enum FileSystem {
    enum Kind { case folder, file, other }

    /// What a path is and which file it is; links are followed.
    struct Status {
        var kind: Kind
        var device: UInt64
        var inode: UInt64
        var byteCount: Int
    }

    struct Failure: Error {
        var message: String
        init(code: CInt = errno) { message = String(cString: strerror(code)) }
    }

    static func status(_ path: String) throws(Failure) -> Status {
        var info = stat()
        guard stat(path, &info) == 0 else { throw Failure() }
        let mode = info.st_mode & S_IFMT
        return Status(
            kind: mode == S_IFDIR ? .folder : mode == S_IFREG ? .file : .other, device: UInt64(info.st_dev),
            inode: UInt64(info.st_ino), byteCount: Int(info.st_size))
    }

    static func isFolder(_ path: String) -> Bool { (try? status(path))?.kind == .folder }

    /// The names in a folder without hidden ones, sorted by code point; names that are not UTF-8 are only counted.
    static func names(in folder: String) throws(Failure) -> (names: [String], foreign: Int) {
        guard let stream = opendir(folder) else { throw Failure() }
        defer { closedir(stream) }
        var names: [String] = []
        var foreign = 0
        while let entry = readdir(stream) {
            let bytes = withUnsafeBytes(of: &entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
            if bytes.first == UInt8(ascii: ".") { continue }
            if let name = String(validating: bytes, as: UTF8.self) { names.append(name) } else { foreign += 1 }
        }
        return (names.sorted(by: precedes), foreign)
    }

    /// Order of code points, as Python sorts names; Swift's own order would treat equivalent spellings as equal.
    static func precedes(_ a: String, _ b: String) -> Bool { a.utf8.lexicographicallyPrecedes(b.utf8) }

    static func join(_ folder: String, _ name: String) -> String {
        folder.hasSuffix("/") ? folder + name : folder + "/" + name
    }
}
