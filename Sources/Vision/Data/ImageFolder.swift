import Files

extension PictureDataset {
    /// Reads a folder whose subfolders are the classes, as torchvision's `ImageFolder`.
    ///
    /// Classes are the subfolders in sorted order; samples are ordered by class, then folder, then name, compared by code
    /// point. Subfolders of a class belong to it; links are followed, each folder once. Unlike torchvision, what counts
    /// as a picture is decided by a file's first bytes, not by its suffix, and hidden files and folders are passed over.
    ///
    /// Throws `DatasetError` when there are no classes, one class only, or a class without pictures.
    public static func imageFolder(_ path: String) throws(DatasetError) -> PictureDataset {
        let classes = try classFolders(in: path)
        return try read(path, classes: classes, allowEmpty: false)
    }

    fileprivate static func classFolders(in path: String) throws(DatasetError) -> [String] {
        let names = try FoundFiles.list(path).names
        let classes = names.filter { FileSystem.isFolder(FileSystem.join(path, $0)) }
        guard !classes.isEmpty else {
            let found = names.isEmpty ? "" : "\(names.count) file\(names.count == 1 ? "" : "s")"
            throw .noClasses(path, found: found)
        }
        return classes
    }

    /// Reads the given class folders; one that does not exist counts as empty.
    fileprivate static func read(
        _ path: String, classes: [String], allowEmpty: Bool
    ) throws(DatasetError) -> PictureDataset {
        var samples: [PictureSample] = []
        var ignored: [IgnoredFile] = []
        var empty: [String] = []
        for (label, name) in classes.enumerated() {
            let before = samples.count
            let folder = FileSystem.join(path, name)
            if FileSystem.isFolder(folder) {
                let found = try FoundFiles(below: folder)
                samples += found.pictures.map { PictureSample(path: $0, label: label) }
                ignored += found.ignored
            }
            if samples.count == before { empty.append(name) }
        }
        guard !samples.isEmpty else { throw .noPictures(path) }
        guard empty.isEmpty || allowEmpty else { throw .emptyClasses(path, names: empty) }
        guard classes.count > 1 else { throw .singleClass(path, name: classes[0]) }
        return PictureDataset(source: path, classes: classes, samples: samples, ignored: ignored)
    }
}

/// Every visible file below a folder: folders in the order of their paths, names sorted within.
struct FoundFiles {
    private(set) var pictures: [String] = []
    private(set) var ignored: [IgnoredFile] = []

    init(below root: String) throws(DatasetError) {
        var folders: [String: [String]] = [:]
        var seen: Set<[UInt64]> = []
        var waiting = [root]
        while let folder = waiting.popLast() {
            // A link back to a folder above would otherwise be followed for ever.
            guard let status = try? FileSystem.status(folder), seen.insert([status.device, status.inode]).inserted
            else { continue }
            let (names, foreign) = try FoundFiles.list(folder)
            if foreign > 0 {
                ignored.append(IgnoredFile(path: folder, kind: "\(foreign) with names that are not UTF-8"))
            }
            let paths = names.map { FileSystem.join(folder, $0) }
            waiting += paths.filter(FileSystem.isFolder)
            folders[folder] = paths.filter { !FileSystem.isFolder($0) }
        }
        for folder in folders.keys.sorted(by: FileSystem.precedes) {
            for file in folders[folder, default: []] {
                if let kind = FoundFiles.foreignKind(file) {
                    ignored.append(IgnoredFile(path: file, kind: kind))
                } else {
                    pictures.append(file)
                }
            }
        }
    }

    /// The visible names in a folder, sorted, and how many are not UTF-8.
    static func list(_ path: String) throws(DatasetError) -> (names: [String], foreign: Int) {
        let kind: FileSystem.Kind
        var found: (names: [String], foreign: Int) = ([], 0)
        do throws(FileSystem.Failure) {
            kind = try FileSystem.status(path).kind
            if kind == .folder { found = try FileSystem.names(in: path) }
        } catch {
            throw .unreadable(path, why: error.message)
        }
        guard kind == .folder else { throw .notFolder(path) }
        return found
    }

    /// What a file is if it is not a picture, or nil.
    static func foreignKind(_ path: String) -> String? {
        do throws(FileError) {
            let bytes = try FileBytes(path: path)
            return bytes.withUnsafeBytes { raw in
                let start = Array(raw.prefix(PictureFormat.signatureLength))
                if start.isEmpty { return "an empty file" }
                return PictureFormat.detect(start) == nil ? PictureFormat.describe(start) : nil
            }
        } catch {
            return error.reason.description
        }
    }
}

extension DatasetSplit {
    /// Names a validation folder may have, in order of preference.
    static let valNames = ["val", "valid", "validation"]

    /// Reads a folder as `imageFolder`, anything else as `list`.
    public static func read(
        _ path: String, valFraction: Double? = nil, seed: UInt64 = 0
    ) throws(DatasetError) -> DatasetSplit {
        let isList: Bool
        do throws(FileSystem.Failure) { isList = try FileSystem.status(path).kind == .file } catch {
            throw .unreadable(path, why: error.message)
        }
        return try isList
            ? list(path, valFraction: valFraction, seed: seed) : imageFolder(path, valFraction: valFraction, seed: seed)
    }

    /// Reads a folder with `train/` and `val/` (or `valid/`, `validation/`), or one folder of classes to be split.
    ///
    /// Without a validation folder, `valFraction` of every class is taken from the training pictures by `seed`. Validation
    /// classes must be among the training classes; labels count the latter. Throws `DatasetError`.
    public static func imageFolder(
        _ root: String, valFraction: Double? = nil, seed: UInt64 = 0
    ) throws(DatasetError) -> DatasetSplit {
        let trainPath = FileSystem.join(root, "train")
        let valName = valNames.first { FileSystem.isFolder(FileSystem.join(root, $0)) }
        guard FileSystem.isFolder(trainPath) else {
            let whole = try PictureDataset.imageFolder(root)
            guard let valFraction else { throw .missingValidation(root) }
            return try whole.split(valFraction: valFraction, seed: seed)
        }
        let train = try PictureDataset.imageFolder(trainPath)
        guard let valName else {
            guard let valFraction else { throw .missingValidation(root) }
            return try train.split(valFraction: valFraction, seed: seed)
        }
        if valFraction != nil { throw .redundantFraction(root, name: "a \(valName)/ folder") }
        let valPath = FileSystem.join(root, valName)
        let unknown = try PictureDataset.classFolders(in: valPath).filter { !train.classes.contains($0) }
        guard unknown.isEmpty else {
            throw .unknownClasses(valPath, names: unknown, expected: train.classes)
        }
        return DatasetSplit(
            train: train, val: try PictureDataset.read(valPath, classes: train.classes, allowEmpty: true))
    }
}
