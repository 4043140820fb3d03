import Files

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// The few questions about folders that finding pictures needs.
enum FileSystem {
    static func isFolder(_ path: String) -> Bool { (try? FileStatus(path: path))?.kind == .folder }

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
