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
        let (entries, foreign) = try FoundFiles.list(path)
        if foreign > 0, let name = FileSystem.foreignFolders(in: path).first { throw .foreignName(path, name: name) }
        let classes = entries.filter { $0.kind == .folder && !FileSystem.isRun(FileSystem.join(path, $0.name)) }
            .map(\.name)
        guard !classes.isEmpty else {
            let found = entries.isEmpty ? "" : "\(entries.count) file\(entries.count == 1 ? "" : "s")"
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
        // A folder may spell its class in another Unicode form, which only the file system tells apart.
        let spellings = Dictionary(folders.map { ($0, $0) }, uniquingKeysWith: { first, _ in first })
        for (label, name) in classes.enumerated() {
            let before = samples.count
            if let folder = spellings[name] {
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

extension DatasetSplit {
    /// Names a validation folder may have, in order of preference.
    static let valNames = ["val", "valid", "validation"]
    /// Names that no class has: such folders hold classes.
    private static let partNames = valNames + ["train", "test"]

    /// Reads a file as `list`, a folder as `imageFolder`, whatever they are called. Throws `DatasetError`.
    public static func read(
        _ path: String, valFraction: Double? = nil, seed: UInt64 = 0
    ) throws(DatasetError) -> DatasetSplit {
        try FoundPictures(path).split(valFraction: valFraction, seed: seed)
    }

    /// The pictures of a folder or list to evaluate a model on: the validation part, which `valFraction` of every class is
    /// if the data has none of its own; without `valFraction`, all of a list or of a folder of classes.
    ///
    /// A folder with `val/` alone has the classes found there. Of a folder with `train/`, only the names of the classes are
    /// read there. Throws `DatasetError`.
    public static func validation(
        _ path: String, valFraction: Double? = nil, seed: UInt64 = 0
    ) throws(DatasetError) -> PictureDataset {
        if valFraction != nil { return try read(path, valFraction: valFraction, seed: seed).val }
        if try isFile(path) { return try listedValidation(path) }
        let trainPath = FileSystem.join(path, "train")
        let valName = nameOfVal(in: path)
        if FileSystem.isFolder(trainPath) {
            guard let valName else { throw .missingValidation(path) }
            let classes = try PictureDataset.classFolders(in: trainPath)
            return try validation(in: FileSystem.join(path, valName), classes: classes)
        }
        if let valName { return try PictureDataset.imageFolder(FileSystem.join(path, valName)) }
        return try classesAlone(path)
    }

    /// Reads a folder with `train/` and `val/` (or `valid/`, `validation/`), or one folder of classes to be split.
    ///
    /// Without a validation folder, `valFraction` of every class is taken from the training pictures by `seed`. Validation
    /// classes must be among the training classes; labels count the latter. Throws `DatasetError`.
    public static func imageFolder(
        _ root: String, valFraction: Double? = nil, seed: UInt64 = 0
    ) throws(DatasetError) -> DatasetSplit {
        try FoundPictures(folder: root).split(valFraction: valFraction, seed: seed)
    }

    /// The pictures below `path`, labelled by `classes`, of which some may be missing there.
    fileprivate static func validation(in path: String, classes: [String]) throws(DatasetError) -> PictureDataset {
        let folders = try PictureDataset.classFolders(in: path)
        let known = Set(classes)
        let unknown = folders.filter { !known.contains($0) }
        guard unknown.isEmpty else { throw .unknownClasses(path, names: unknown, expected: classes) }
        return try PictureDataset.read(path, folders: folders, classes: classes, allowEmpty: true)
    }

    fileprivate static func isFile(_ path: String) throws(DatasetError) -> Bool {
        do throws(FileError) { return try FileStatus(path: path).kind == .file } catch {
            throw .unreadable(path, why: "\(error.reason)")
        }
    }

    fileprivate static func nameOfVal(in root: String) -> String? {
        valNames.first { FileSystem.isFolder(FileSystem.join(root, $0)) }
    }

    /// The pictures of a folder that holds the classes itself.
    fileprivate static func classesAlone(_ root: String) throws(DatasetError) -> PictureDataset {
        let parts = try PictureDataset.classFolders(in: root).filter { partNames.contains($0.lowercased()) }
        guard parts.isEmpty else { throw .missingTrain(root, found: parts) }
        return try PictureDataset.imageFolder(root)
    }
}

/// The pictures of a folder or list as they were found, before it is decided which of them are for validation: what runs that
/// differ in seed or fraction have in common.
public struct FoundPictures: Sendable {
    private enum Parts {
        /// `usualFraction` is taken for validation where none is asked for; without one, `otherwise` says what is missing.
        case whole(PictureDataset, usualFraction: Double?, otherwise: DatasetError? = nil)
        /// `reason` is what names the parts.
        case split(DatasetSplit, reason: String)
    }
    private let path: String
    private let parts: Parts

    /// Finds the pictures of a folder or list, by what is at `path`. Throws `DatasetError`.
    public init(_ path: String) throws(DatasetError) {
        if try DatasetSplit.isFile(path) { try self.init(list: path) } else { try self.init(folder: path) }
    }

    /// Finds the pictures that a list names. Throws `DatasetError`.
    public init(list path: String) throws(DatasetError) {
        self.path = path
        let list = try PictureList(path)
        if list.hasSplit, let missing = list.missingValidation {
            parts = .whole(try list.train(), usualFraction: nil, otherwise: missing)
            return
        }
        parts =
            list.hasSplit
            ? .split(try list.split(), reason: "a split column")
            : .whole(try list.dataset(list.records), usualFraction: PictureList.usualValFraction)
    }

    /// Finds the pictures of a folder, as `DatasetSplit.imageFolder`. Throws `DatasetError`.
    public init(folder root: String) throws(DatasetError) {
        path = root
        let trainPath = FileSystem.join(root, "train")
        guard FileSystem.isFolder(trainPath) else {
            parts = .whole(try DatasetSplit.classesAlone(root), usualFraction: nil)
            return
        }
        let train = try PictureDataset.imageFolder(trainPath)
        guard let valName = DatasetSplit.nameOfVal(in: root) else {
            parts = .whole(train, usualFraction: nil)
            return
        }
        let val = try DatasetSplit.validation(in: FileSystem.join(root, valName), classes: train.classes)
        parts = .split(DatasetSplit(train: train, val: val), reason: "a \(valName)/ folder")
    }

    /// Divides the pictures, where they are not divided already. Throws `DatasetError`.
    public func split(valFraction: Double? = nil, seed: UInt64 = 0) throws(DatasetError) -> DatasetSplit {
        switch parts {
        case .split(let split, let reason):
            if valFraction != nil { throw .redundantFraction(path, name: reason) }
            return split
        case .whole(let whole, let usualFraction, let otherwise):
            guard let fraction = valFraction ?? usualFraction else { throw otherwise ?? .missingValidation(path) }
            return try whole.split(valFraction: fraction, seed: seed)
        }
    }
}
