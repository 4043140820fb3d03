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

    /// The folders in a folder whose names are not UTF-8, as they can be shown: `caf\xE9`.
    static func foreignFolders(in folder: String) -> [String] {
        guard let stream = opendir(folder) else { return [] }
        defer { closedir(stream) }
        var found: [String] = []
        while let entry = readdir(stream) {
            let bytes = withUnsafeBytes(of: &entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
            guard bytes.first != UInt8(ascii: "."), String(validating: bytes, as: UTF8.self) == nil else { continue }
            var status = stat()
            let name = bytes.map { CChar(bitPattern: $0) } + [0]
            guard fstatat(dirfd(stream), name, &status, 0) == 0, status.st_mode & S_IFMT == S_IFDIR else { continue }
            found.append(
                bytes.map { byte in
                    byte < 0x80
                        ? String(UnicodeScalar(byte)) : "\\x" + String(byte, radix: 16, uppercase: true)
                }.joined())
        }
        return found.sorted()
    }

    /// True for what `finetune` writes beside or among the classes: the folder of a run or sweep, and one that holds nothing
    /// but such folders.
    static func isRun(_ path: String) -> Bool {
        func has(_ name: String) -> Bool { (try? FileStatus(path: join(path, name)))?.kind == .file }
        if has("run.json") && has("history.csv") || has("sweep.json") && has("sweep.csv") { return true }
        // Classes have so many files that they are not all asked.
        guard Folder.lastComponent(path) == "runs", let names = try? names(in: path).names, !names.isEmpty else {
            return false
        }
        return names.allSatisfy { isRun(join(path, $0)) }
    }

    /// Order of code points, as Python sorts names; Swift's own order would treat equivalent spellings as equal.
    static func precedes(_ a: String, _ b: String) -> Bool { a.utf8.lexicographicallyPrecedes(b.utf8) }

    static func join(_ folder: String, _ name: String) -> String {
        folder.hasSuffix("/") ? folder + name : folder + "/" + name
    }
}
