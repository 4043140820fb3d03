import Files

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// The few questions about folders that finding pictures needs.
enum FileSystem {
    static func isFolder(_ path: String) -> Bool { (try? FileStatus(path: path))?.kind == .folder }

    /// The names in a folder without hidden ones, sorted by code point; names that are not UTF-8 are only counted.
    static func names(in folder: String) throws(FileError) -> (names: [String], foreign: Int) {
        guard let stream = opendir(folder) else { throw FileError(folder, errno: errno) }
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
