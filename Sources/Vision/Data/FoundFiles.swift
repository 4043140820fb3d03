import Files

/// Every visible file below a folder: folders in the order of their paths, names sorted within.
struct FoundFiles {
    private(set) var pictures: [String] = []
    private(set) var ignored: [IgnoredFile] = []

    /// Folders so deep are opened by their whole paths: each one above them would be held open.
    private static let heldFolders = 64

    /// A folder to be looked at, in one that is open.
    private struct Waiting {
        var path: String
        var name: String
        var parent: OpenFolder?
        var depth: Int
    }

    /// A file with what it is if it is not a picture.
    private typealias File = (path: String, foreignKind: String?)

    init(below root: String) throws(DatasetError) {
        var folders: [(path: String, files: [File])] = []
        var seen: Set<[UInt64]> = []
        var found = 0
        let observer = WorkProgress.observer
        var waiting = [Waiting(path: root, name: root, parent: nil, depth: 0)]
        while let next = waiting.popLast() {
            guard let folder = try FoundFiles.open(next, isRoot: next.depth == 0) else { continue }
            // A link back to a folder above would otherwise be followed for ever.
            guard seen.insert([folder.status.device, folder.status.inode]).inserted else { continue }
            let (entries, foreign) = folder.entries()
            if foreign > 0 {
                ignored.append(IgnoredFile(path: next.path, kind: "\(foreign) with names that are not UTF-8"))
            }
            let depth = next.depth + 1
            let isHeld = depth < FoundFiles.heldFolders
            var files: [File] = []
            for entry in entries {
                let path = FileSystem.join(next.path, entry.name)
                switch entry.kind {
                case .folder where FileSystem.isRun(path): break
                case .folder:
                    waiting.append(
                        Waiting(
                            path: path, name: isHeld ? entry.name : path, parent: isHeld ? folder : nil, depth: depth))
                case .file: files.append((path, folder.foreignKind(of: entry.name, path: path)))
                case .other: files.append((path, FoundFiles.foreignKind(path)))
                }
            }
            folders.append((next.path, files))
            found += files.count
            observer?("finding pictures", found, 0)
        }
        for folder in folders.sorted(by: { FileSystem.precedes($0.path, $1.path) }) {
            for file in folder.files {
                if let kind = file.foreignKind {
                    ignored.append(IgnoredFile(path: file.path, kind: kind))
                } else {
                    pictures.append(file.path)
                }
            }
        }
    }

    /// Nil for a folder that is not there any more.
    private static func open(_ folder: Waiting, isRoot: Bool) throws(DatasetError) -> OpenFolder? {
        do throws(FileError) {
            return try OpenFolder(folder.name, in: folder.parent, path: folder.path)
        } catch {
            switch error.reason {
            case .missing where !isRoot: return nil
            case .notDirectory where isRoot: throw .notFolder(folder.path)
            default: throw .unreadable(folder.path, why: "\(error.reason)")
            }
        }
    }

    /// The visible names in a folder, sorted, and how many are not UTF-8.
    static func list(_ path: String) throws(DatasetError) -> (entries: [OpenFolder.Entry], foreign: Int) {
        guard let folder = try open(Waiting(path: path, name: path, parent: nil, depth: 0), isRoot: true) else {
            return ([], 0)
        }
        return folder.entries()
    }

    /// What a file is if it is not a picture, or nil; one that cannot be read may be a picture.
    static func foreignKind(_ path: String) -> String? {
        do throws(FileError) {
            let bytes = try FileBytes(path: path)
            return bytes.withUnsafeBytes { foreignKind(start: $0.prefix(PictureFormat.signatureLength), path: path) }
        } catch {
            if case .notRegular = error.reason { return error.reason.description }
            return nil
        }
    }

    /// The same for a regular file of which the first bytes are known.
    static func foreignKind(start: some Collection<UInt8>, path: String) -> String? {
        // An empty file has no first bytes to tell by.
        if start.isEmpty { return isNamedPicture(path) ? nil : "an empty file" }
        return PictureFormat.foreignKind(Array(start)) ?? placeholderKind(path)
    }

    /// What Flickr and ImageNet give for a picture that is gone shows nothing of its class; the tutorial's ants hold one.
    private static func placeholderKind(_ path: String) -> String? {
        let isPlaceholder = Folder.lastComponent(path).lowercased().hasPrefix("imagenotfound.")
        return isPlaceholder ? "a placeholder for a picture that was not found" : nil
    }

    private static func isNamedPicture(_ path: String) -> Bool {
        PictureFormat.suffixes.contains(where: path.lowercased().hasSuffix)
    }
}
