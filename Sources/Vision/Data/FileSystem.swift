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
        folder.utf8.last == UInt8(ascii: "/") ? folder + name : folder + "/" + name
    }
}

/// A folder held open: what is in it is found by its name alone, however long the path to it is.
final class OpenFolder {
    /// A visible name, and what it leads to: links are followed.
    struct Entry {
        var name: String
        var kind: FileStatus.Kind
    }

    let status: FileStatus
    private let stream: OpaquePointer
    private let descriptor: Int32

    /// Opens `name` in `parent`, or as a path where there is none. Throws `FileError`, whose path is `path`.
    init(_ name: String, in parent: OpenFolder?, path: String) throws(FileError) {
        let number = openat(parent?.descriptor ?? AT_FDCWD, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard number >= 0 else { throw FileError(path, errno: errno) }
        guard let stream = fdopendir(number) else {
            let code = errno
            close(number)
            throw FileError(path, errno: code)
        }
        do throws(FileError) {
            status = try FileStatus(descriptor: number, path: path)
        } catch {
            closedir(stream)
            throw error
        }
        (self.stream, descriptor) = (stream, number)
    }

    deinit { closedir(stream) }

    /// What is visible here, sorted by code point; names that are not UTF-8 are only counted.
    func entries() -> (entries: [Entry], foreign: Int) {
        var entries: [Entry] = []
        var foreign = 0
        while let entry = readdir(stream) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes -> String? in
                bytes.first == UInt8(ascii: ".") ? "." : String(validating: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            guard let name else {
                foreign += 1
                continue
            }
            if name != "." { entries.append(Entry(name: name, kind: kind(of: name, Int32(entry.pointee.d_type)))) }
        }
        return (entries.sorted { FileSystem.precedes($0.name, $1.name) }, foreign)
    }

    /// File systems tell folders and files in the listing; links and those that do not are asked about.
    private func kind(of name: String, _ listed: Int32) -> FileStatus.Kind {
        switch listed {
        case Int32(DT_DIR): return .folder
        case Int32(DT_REG): return .file
        default:
            var status = stat()
            guard fstatat(descriptor, name, &status, 0) == 0 else { return .other }
            switch status.st_mode & S_IFMT {
            case S_IFDIR: return .folder
            case S_IFREG: return .file
            default: return .other
            }
        }
    }

    /// What the regular file `name` is if it is not a picture, or nil; one that cannot be read may be a picture.
    func foreignKind(of name: String, path: String) -> String? {
        let number = openat(descriptor, name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)
        guard number >= 0 else { return nil }
        defer { close(number) }
        return withUnsafeTemporaryAllocation(byteCount: PictureFormat.signatureLength, alignment: 1) { start in
            let count = read(number, start.baseAddress, start.count)
            return count < 0 ? nil : FoundFiles.foreignKind(start: start.prefix(count), path: path)
        }
    }
}
