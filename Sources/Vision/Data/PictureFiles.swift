import Files
#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Finding pictures that have no labels.
public enum PictureFiles {
    /// The files meant by `paths`: a folder stands for every picture below it, `*`, `?` and `[...]` are matched
    /// against names where no file is called so; order as given, names sorted within. Files of folders that are no
    /// pictures are `ignored`.
    ///
    /// Throws `DatasetError` for a folder without pictures and a pattern without matches. A file that does not exist or
    /// cannot be read is among the pictures: decoding it fails.
    public static func find(
        _ paths: [String]
    ) throws(DatasetError) -> (pictures: [String], ignored: [IgnoredFile]) {
        var files: [String] = []
        var ignored: [IgnoredFile] = []
        func add(folder: String) throws(DatasetError) {
            let found = try FoundFiles(below: folder)
            guard !found.pictures.isEmpty else { throw .noPictures(folder) }
            files += found.pictures
            ignored += found.ignored
        }
        for path in paths {
            switch (try? FileStatus(path: path))?.kind {
            case .folder: try add(folder: path)
            case nil where path.contains { "*?[".contains($0) }:
                let matches = matches(of: path)
                guard !matches.isEmpty else { throw .unreadable(path, why: "no file matches") }
                for match in matches {
                    if FileSystem.isFolder(match) { try add(folder: match) } else { files.append(match) }
                }
            default: files.append(path)
            }
        }
        return (files, ignored)
    }

    private static func matches(of pattern: String) -> [String] {
        var list = glob_t()
        defer { globfree(&list) }
        guard glob(pattern, 0, nil, &list) == 0 else { return [] }
        let names = (0..<Int(list.gl_pathc)).compactMap { list.gl_pathv[$0].map { String(cString: $0) } }
        return names.sorted(by: FileSystem.precedes)
    }
}
