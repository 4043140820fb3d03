import Files

extension PictureDataset {
    /// Reads a folder whose subfolders are the classes, as torchvision's `ImageFolder`.
    ///
    /// Classes are the subfolders in sorted order; samples are ordered by class, then folder, then name, compared by code
    /// point. Subfolders of a class belong to it; links are followed, each folder once. Unlike torchvision, what counts
    /// as a picture is decided by a file's first bytes, not by its suffix, and hidden files and folders are passed over.
    /// A file that cannot be read counts as a picture: decoding it fails.
    ///
    /// Throws `DatasetError` when there are no classes, one class only, or a class without pictures.
    public static func imageFolder(_ path: String) throws(DatasetError) -> PictureDataset {
        let classes = try classFolders(in: path)
        return try read(path, folders: classes, classes: classes, allowEmpty: false)
    }

    /// The subfolders, sorted; no two of them equal as text, which is how class names are compared.
    fileprivate static func classFolders(in path: String) throws(DatasetError) -> [String] {
        let (names, foreign) = try FoundFiles.list(path)
        if foreign > 0, let name = FileSystem.foreignFolders(in: path).first { throw .foreignName(path, name: name) }
        let classes = names.filter { name in
            let folder = FileSystem.join(path, name)
            return FileSystem.isFolder(folder) && !FileSystem.isRun(folder)
        }
        guard !classes.isEmpty else {
            let found = names.isEmpty ? "" : "\(names.count) file\(names.count == 1 ? "" : "s")"
            throw .noClasses(path, found: found)
        }
        var seen: Set<String> = []
        if let twin = classes.first(where: { !seen.insert($0).inserted }) { throw .equalClasses(path, name: twin) }
        return classes
    }

    /// Reads the folder of each class among `folders`; a class without one counts as empty.
    fileprivate static func read(
        _ path: String, folders: [String], classes: [String], allowEmpty: Bool
    ) throws(DatasetError) -> PictureDataset {
        var samples: [PictureSample] = []
        var ignored: [IgnoredFile] = []
        var empty: [String] = []
        for (label, name) in classes.enumerated() {
            let before = samples.count
            // A folder may spell its class in another Unicode form, which only the file system tells apart.
            if let folder = folders.first(where: { $0 == name }) {
                let found = try FoundFiles(below: FileSystem.join(path, folder))
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
        var folders: [(path: String, files: [String])] = []
        var seen: Set<[UInt64]> = []
        var waiting = [root]
        while let folder = waiting.popLast() {
            // A link back to a folder above would otherwise be followed for ever.
            guard let status = try? FileStatus(path: folder), seen.insert([status.device, status.inode]).inserted
            else { continue }
            let (names, foreign) = try FoundFiles.list(folder)
            if foreign > 0 {
                ignored.append(IgnoredFile(path: folder, kind: "\(foreign) with names that are not UTF-8"))
            }
            let paths = names.map { FileSystem.join(folder, $0) }
            waiting += paths.filter { FileSystem.isFolder($0) && !FileSystem.isRun($0) }
            folders.append((folder, paths.filter { !FileSystem.isFolder($0) }))
        }
        for folder in folders.sorted(by: { FileSystem.precedes($0.path, $1.path) }) {
            for file in folder.files {
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
        let kind: FileStatus.Kind
        var found: (names: [String], foreign: Int) = ([], 0)
        do throws(FileError) {
            kind = try FileStatus(path: path).kind
            if kind == .folder { found = try FileSystem.names(in: path) }
        } catch {
            throw .unreadable(path, why: "\(error.reason)")
        }
        guard kind == .folder else { throw .notFolder(path) }
        return found
    }

    /// What a file is if it is not a picture, or nil; one that cannot be read may be a picture.
    static func foreignKind(_ path: String) -> String? {
        do throws(FileError) {
            let bytes = try FileBytes(path: path)
            return bytes.withUnsafeBytes { raw in
                let start = Array(raw.prefix(PictureFormat.signatureLength))
                // An empty file has no first bytes to tell by.
                if start.isEmpty { return isNamedPicture(path) ? nil : "an empty file" }
                return PictureFormat.foreignKind(start) ?? placeholderKind(path)
            }
        } catch {
            if case .notRegular = error.reason { return error.reason.description }
            return nil
        }
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

extension DatasetSplit {
    /// Names a validation folder may have, in order of preference.
    static let valNames = ["val", "valid", "validation"]
    /// Names that no class has: such folders hold classes.
    private static let partNames = valNames + ["train", "test"]

    /// Reads a file as `list`, a folder as `imageFolder`, whatever they are called. Throws `DatasetError`.
    public static func read(
        _ path: String, valFraction: Double? = nil, seed: UInt64 = 0
    ) throws(DatasetError) -> DatasetSplit {
        try isFile(path)
            ? list(path, valFraction: valFraction, seed: seed) : imageFolder(path, valFraction: valFraction, seed: seed)
    }

    /// The pictures of a folder or list to evaluate a model on: the validation part, which `valFraction` of every class is
    /// if the data has none of its own; without `valFraction`, all of a list or of a folder of classes.
    ///
    /// A folder with `val/` alone has the classes found there. Throws `DatasetError`.
    public static func validation(
        _ path: String, valFraction: Double? = nil, seed: UInt64 = 0
    ) throws(DatasetError) -> PictureDataset {
        if valFraction != nil { return try read(path, valFraction: valFraction, seed: seed).val }
        if try isFile(path) { return try listedValidation(path) }
        if FileSystem.isFolder(FileSystem.join(path, "train")) { return try imageFolder(path).val }
        if let valName = nameOfVal(in: path) { return try PictureDataset.imageFolder(FileSystem.join(path, valName)) }
        return try classesAlone(path)
    }

    /// Reads a folder with `train/` and `val/` (or `valid/`, `validation/`), or one folder of classes to be split.
    ///
    /// Without a validation folder, `valFraction` of every class is taken from the training pictures by `seed`. Validation
    /// classes must be among the training classes; labels count the latter. Throws `DatasetError`.
    public static func imageFolder(
        _ root: String, valFraction: Double? = nil, seed: UInt64 = 0
    ) throws(DatasetError) -> DatasetSplit {
        let trainPath = FileSystem.join(root, "train")
        guard FileSystem.isFolder(trainPath) else {
            let whole = try classesAlone(root)
            guard let valFraction else { throw .missingValidation(root) }
            return try whole.split(valFraction: valFraction, seed: seed)
        }
        let train = try PictureDataset.imageFolder(trainPath)
        guard let valName = nameOfVal(in: root) else {
            guard let valFraction else { throw .missingValidation(root) }
            return try train.split(valFraction: valFraction, seed: seed)
        }
        if valFraction != nil { throw .redundantFraction(root, name: "a \(valName)/ folder") }
        let valPath = FileSystem.join(root, valName)
        let folders = try PictureDataset.classFolders(in: valPath)
        let unknown = folders.filter { !train.classes.contains($0) }
        guard unknown.isEmpty else {
            throw .unknownClasses(valPath, names: unknown, expected: train.classes)
        }
        return DatasetSplit(
            train: train,
            val: try PictureDataset.read(valPath, folders: folders, classes: train.classes, allowEmpty: true))
    }

    private static func isFile(_ path: String) throws(DatasetError) -> Bool {
        do throws(FileError) { return try FileStatus(path: path).kind == .file } catch {
            throw .unreadable(path, why: "\(error.reason)")
        }
    }

    private static func nameOfVal(in root: String) -> String? {
        valNames.first { FileSystem.isFolder(FileSystem.join(root, $0)) }
    }

    /// The pictures of a folder that holds the classes itself.
    private static func classesAlone(_ root: String) throws(DatasetError) -> PictureDataset {
        let parts = try PictureDataset.classFolders(in: root).filter { partNames.contains($0.lowercased()) }
        guard parts.isEmpty else { throw .missingTrain(root, found: parts) }
        return try PictureDataset.imageFolder(root)
    }
}
