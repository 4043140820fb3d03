import Files

extension PictureDataset {
    /// Reads a list of pictures: CSV (commas or semicolons) or TSV (tabs) with a path and a label on each line.
    ///
    /// The separator is a tab if the first line has one, else its first comma or semicolon. Fields may be quoted as in RFC 4180; spaces around
    /// them do not count. A first line that names a path column (`path`, `file`, `filename`, `image`) and a label column
    /// (`label`, `class`, `target`, `category`) is a header and decides the columns; without one the first two are taken.
    /// Paths are relative to the list's folder. Labels are class names; if all are whole numbers they are ordered as
    /// numbers.
    ///
    /// `classes` fixes the classes and their order, for example those of the training list; some may then have no
    /// pictures. Throws `DatasetError`, with the line, for a path that leads to no file.
    public static func list(_ path: String, classes: [String]? = nil) throws(DatasetError) -> PictureDataset {
        let list = try PictureList(path)
        return try list.dataset(list.records, classes: classes)
    }
}

extension DatasetSplit {
    /// Reads one list of training and validation pictures.
    ///
    /// A header may name a column `split` (or `set`, `subset`) whose fields say `train` (`training`), `val` (`valid`,
    /// `validation`) or `test` (`testing`), or a column `is_valid` whose fields say true or false. Pictures for testing are
    /// left out. Without such a column, `valFraction` of every class, by default a fifth, is taken for validation by `seed`;
    /// from a list of pictures for training and testing `valFraction` takes them, too. Validation classes must be among the
    /// training classes. Throws `DatasetError`.
    public static func list(
        _ path: String, valFraction: Double? = nil, seed: UInt64 = 0
    ) throws(DatasetError) -> DatasetSplit {
        try FoundPictures(list: path).split(valFraction: valFraction, seed: seed)
    }

    /// The validation pictures of a list that tells them from training pictures, else all of it.
    static func listedValidation(_ path: String) throws(DatasetError) -> PictureDataset {
        let list = try PictureList(path)
        let hasBoth = list.hasSplit && list.records.contains { $0.part == .train }
        return try hasBoth ? list.split().val : list.dataset(list.records)
    }

    /// Reads a list of training pictures and one of validation pictures, whose classes must be among the former's.
    public static func lists(train: String, val: String) throws(DatasetError) -> DatasetSplit {
        let train = try PictureDataset.list(train)
        return DatasetSplit(train: train, val: try PictureDataset.list(val, classes: train.classes))
    }
}

/// The lines of a list of pictures.
struct PictureList {
    /// What is taken from a list that does not say which pictures are for validation.
    static let usualValFraction = 0.2

    enum Part: String {
        case train, val, test

        init?(split text: String) {
            switch text.lowercased() {
            case "train", "training": self = .train
            case let text where DatasetSplit.valNames.contains(text): self = .val
            case "test", "testing": self = .test
            default: return nil
            }
        }

        init?(isValid text: String) {
            switch text.lowercased() {
            case "true", "1", "yes": self = .val
            case "false", "0", "no": self = .train
            default: return nil
            }
        }
    }

    struct Record {
        var line: Int
        var path: String
        var label: String
        var part: Part
    }

    let path: String
    private(set) var records: [Record] = []
    let hasSplit: Bool

    init(_ path: String) throws(DatasetError) {
        let bytes: FileBytes
        do throws(FileError) { bytes = try FileBytes(path: path, limit: 1 << 30, access: .copied) } catch {
            throw .unreadable(path, why: error.reason.description)
        }
        let isPicture = bytes.withUnsafeBytes { raw in PictureFormat.detect(raw) != nil }
        guard !isPicture else { throw .isPicture(path) }
        var rows = try bytes.withUnsafeBytes { (raw) throws(DatasetError) in
            try DelimitedText.parse(Array(raw), name: path)
        }
        guard let first = rows.first else { throw .noPictures(path) }
        let header = Columns(header: first.fields)
        if header != nil { rows.removeFirst() }
        let columns = header ?? Columns()
        self.path = path
        hasSplit = columns.split != nil || columns.isValid != nil
        for row in rows {
            let entry = try record(row, columns)
            if let problem = PictureList.problem(entry.path) {
                let advice =
                    header == nil && row.line == first.line
                    ? "if this is a header, call its columns path and label" : "paths count from the list's folder"
                throw .badList(
                    path, line: row.line, why: "expected a picture at '\(entry.path)': \(problem) (\(advice))")
            }
            records.append(entry)
        }
        guard !records.isEmpty else { throw .noPictures(path) }
    }

    /// Why a path cannot be meant, or nil.
    private static func problem(_ file: String) -> String? {
        do throws(FileError) {
            return try FileStatus(path: file).kind == .folder ? "is a folder" : nil
        } catch {
            return "\(error.reason)"
        }
    }

    /// The labels of `records` in order.
    private static func classes(of records: [Record]) -> [String] {
        let labels = Set(records.map(\.label))
        let numbers = labels.compactMap { label in Int(label).map { (number: $0, label: label) } }
        if numbers.count == labels.count { return numbers.sorted { $0 < $1 }.map(\.label) }
        return labels.sorted(by: FileSystem.precedes)
    }

    /// The two parts, with the classes of the training pictures.
    func split() throws(DatasetError) -> DatasetSplit {
        let train = try train()
        if let missing = missingValidation { throw missing }
        return DatasetSplit(train: train, val: try dataset(try part(.val), classes: train.classes))
    }

    /// The training pictures; those for testing are among its ignored files.
    func train() throws(DatasetError) -> PictureDataset {
        let train = try dataset(try part(.train))
        let test = records.filter { $0.part == .test }
        return PictureDataset(
            source: train.source, classes: train.classes, samples: train.samples,
            ignored: train.ignored + test.map { IgnoredFile(path: $0.path, kind: "marked test", isPicture: true) })
    }

    /// What to say where some pictures are for testing and none for validation.
    var missingValidation: DatasetError? {
        guard let test = records.first(where: { $0.part == .test }), !records.contains(where: { $0.part == .val })
        else {
            return nil
        }
        return .badList(
            path, line: test.line,
            why: "marked test, and no line is marked val; mark some so, or give --val-fraction, for example 0.2")
    }

    private func part(_ part: Part) throws(DatasetError) -> [Record] {
        let found = records.filter { $0.part == part }
        guard !found.isEmpty else { throw .emptyPart(path, name: part.rawValue) }
        return found
    }

    /// The pictures of `records`: of their own classes, none of which may be empty, or of those given.
    func dataset(_ records: [Record], classes given: [String]? = nil) throws(DatasetError) -> PictureDataset {
        let classes = given ?? PictureList.classes(of: records)
        let unknown = Set(records.map(\.label)).subtracting(classes).sorted(by: FileSystem.precedes)
        guard unknown.isEmpty else { throw .unknownClasses(path, names: unknown, expected: classes) }
        guard classes.count > 1 else { throw .singleClass(path, name: classes.first ?? "") }
        let index = Dictionary(zip(classes, classes.indices), uniquingKeysWith: { first, _ in first })
        var samples: [PictureSample] = []
        var ignored: [IgnoredFile] = []
        for record in records {
            if let kind = FoundFiles.foreignKind(record.path) {
                ignored.append(IgnoredFile(path: record.path, kind: kind))
            } else if let label = index[record.label] {
                samples.append(PictureSample(path: record.path, label: label))
            }
        }
        guard !samples.isEmpty else { throw .noPictures(path) }
        let dataset = PictureDataset(source: path, classes: classes, samples: samples, ignored: ignored)
        let empty = zip(classes, dataset.classCounts).filter { $1 == 0 }.map(\.0)
        guard empty.isEmpty || given != nil else { throw .emptyClasses(path, names: empty) }
        return dataset
    }

    private func record(_ row: DelimitedText.Row, _ columns: Columns) throws(DatasetError) -> Record {
        guard row.fields.count > columns.last else {
            let count = "\(row.fields.count) field\(row.fields.count == 1 ? "" : "s")"
            throw .badList(path, line: row.line, why: "expected at least \(columns.last + 1) fields, got \(count)")
        }
        let (file, label) = (row.fields[columns.path], row.fields[columns.label])
        guard !file.isEmpty, !label.isEmpty else {
            throw .badList(path, line: row.line, why: "expected a path and a label, one of them is empty")
        }
        let full = file.hasPrefix("/") ? file : FileSystem.join(Folder.containing(path), file)
        return Record(line: row.line, path: full, label: label, part: try part(of: row, columns))
    }

    private func part(of row: DelimitedText.Row, _ columns: Columns) throws(DatasetError) -> Part {
        if let split = columns.split {
            guard let part = Part(split: row.fields[split]) else {
                throw .badList(
                    path, line: row.line, why: "split is '\(row.fields[split])'; expected train, val or test")
            }
            return part
        }
        guard let isValid = columns.isValid else { return .train }
        guard let part = Part(isValid: row.fields[isValid]) else {
            throw .badList(path, line: row.line, why: "is_valid is '\(row.fields[isValid])'; expected true or false")
        }
        return part
    }

    private struct Columns {
        var path = 0
        var label = 1
        var split: Int?
        var isValid: Int?

        init() {}

        init?(header: [String]) {
            let names = header.map { $0.lowercased() }
            guard let path = names.firstIndex(where: ["path", "file", "filename", "image"].contains),
                let label = names.firstIndex(where: ["label", "class", "target", "category"].contains)
            else { return nil }
            self.path = path
            self.label = label
            split = names.firstIndex(where: ["split", "set", "subset"].contains)
            isValid = split == nil ? names.firstIndex(where: ["is_valid", "is_val", "valid"].contains) : nil
        }

        var last: Int { max(path, label, split ?? 0, isValid ?? 0) }
    }
}
