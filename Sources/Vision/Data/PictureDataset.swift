import Files
import TensorCore

/// A picture file and the index of its class.
public struct PictureSample: Sendable, Hashable {
    public let path: String
    public let label: Int

    public init(path: String, label: Int) {
        self.path = path
        self.label = label
    }
}

/// A file that was found among the pictures and is none, or is not to be used.
public struct IgnoredFile: Sendable, Hashable {
    public let path: String
    /// What it is, for example "a PDF document".
    public let kind: String
    /// True for a picture that the data itself leaves out.
    public var isPicture = false
}

extension [IgnoredFile] {
    /// One line about the files, or nil if there are none.
    public var summary: String? {
        let (pictures, foreign) = (filter(\.isPicture), filter { !$0.isPicture })
        var sentences: [String] = []
        if let first = foreign.first {
            let noun = foreign.count == 1 ? "1 file is not a picture" : "\(foreign.count) files are not pictures"
            let more = foreign.count == 1 ? "" : " and \(foreign.count - 1) more"
            sentences.append("\(noun) and left out: '\(first.path)' (\(first.kind))\(more)")
        }
        if let first = pictures.first {
            let noun = pictures.count == 1 ? "1 picture is" : "\(pictures.count) pictures are"
            sentences.append("\(noun) \(first.kind) and left out")
        }
        return sentences.isEmpty ? nil : sentences.joined(separator: "; ").shown
    }
}

/// Labelled pictures on disk: what torchvision calls an `ImageFolder`.
public struct PictureDataset: Sendable {
    /// Where it came from: a folder or a list.
    public let source: String
    /// Class names; a label is an index into them.
    public let classes: [String]
    public let samples: [PictureSample]
    /// Files that are not pictures, and pictures that are not to be used.
    public let ignored: [IgnoredFile]
    /// Pictures of each class, in the order of `classes`.
    public let classCounts: [Int]

    public init(source: String, classes: [String], samples: [PictureSample], ignored: [IgnoredFile] = []) {
        precondition(
            samples.allSatisfy { classes.indices.contains($0.label) }, "a label without a class among \(classes)")
        self.source = source
        self.classes = classes
        self.samples = samples
        self.ignored = ignored
        var counts = [Int](repeating: 0, count: classes.count)
        for sample in samples { counts[sample.label] += 1 }
        classCounts = counts
    }

    public var count: Int { samples.count }

    /// Positions of each class's pictures, in the order of `classes`.
    func membersByClass() -> [[Int]] {
        var members = [[Int]](repeating: [], count: classes.count)
        for (index, sample) in samples.enumerated() { members[sample.label].append(index) }
        return members
    }

    /// One line about the ignored files, or nil if there are none.
    public var ignoredSummary: String? { ignored.summary }

    /// The samples at `indices`, in that order.
    public func subset(_ indices: [Int]) -> PictureDataset {
        PictureDataset(source: source, classes: classes, samples: indices.map { samples[$0] })
    }

    /// Takes a fraction of every class away as a validation set.
    ///
    /// Of n pictures of a class, `fraction * n` (rounded, at least one, never all) are drawn by `seed`; both parts keep the
    /// order of the samples. Throws `DatasetError` if a class has fewer than two pictures or the fraction is not between
    /// 0 and 1.
    public func split(valFraction fraction: Double, seed: UInt64) throws(DatasetError) -> DatasetSplit {
        guard fraction > 0, fraction < 1 else { throw .badFraction(fraction) }
        var isVal = [Bool](repeating: false, count: samples.count)
        let random = RandomSource(seed: seed)
        for (label, members) in membersByClass().enumerated() {
            guard members.count >= 2 else {
                throw .tooFewToSplit(source, name: classes[label], count: members.count)
            }
            let wanted = Int((Double(members.count) * fraction).rounded())
            var stream = random.split(label)
            for position in stream.permutation(members.count).prefix(min(max(wanted, 1), members.count - 1)) {
                isVal[members[position]] = true
            }
        }
        return DatasetSplit(
            train: PictureDataset(
                source: source, classes: classes, samples: samples.indices.filter { !isVal[$0] }.map { samples[$0] },
                ignored: ignored),
            val: subset(samples.indices.filter { isVal[$0] }))
    }
}

/// Training and validation pictures with the same classes.
public struct DatasetSplit: Sendable {
    public let train: PictureDataset
    public let val: PictureDataset

    public init(train: PictureDataset, val: PictureDataset) {
        precondition(train.classes == val.classes, "both parts need the same classes")
        self.train = train
        self.val = val
    }

    public var classes: [String] { train.classes }
    public var ignored: [IgnoredFile] { train.ignored + val.ignored }
}

/// A folder or list that does not make a dataset.
public enum DatasetError: Error, Sendable, Hashable {
    case unreadable(String, why: String)
    case notFolder(String)
    /// A picture where a folder or list is expected.
    case isPicture(String)
    /// No class folders; `found` is what there is instead, empty for nothing.
    case noClasses(String, found: String)
    case noPictures(String)
    case emptyClasses(String, names: [String])
    case singleClass(String, name: String)
    /// Two class folders that differ in their Unicode form alone.
    case equalClasses(String, name: String)
    case unknownClasses(String, names: [String], expected: [String])
    /// A folder whose name is not UTF-8; `name` is its spelling.
    case foreignName(String, name: String)
    /// Folders named like parts of the data, and no `train/` among them.
    case missingTrain(String, found: [String])
    case missingValidation(String)
    /// A split column that never says `name`.
    case emptyPart(String, name: String)
    case redundantFraction(String, name: String)
    case badFraction(Double)
    case tooFewToSplit(String, name: String, count: Int)
    case badList(String, line: Int, why: String)
}

extension DatasetError: CustomStringConvertible {
    public var description: String { text.shown }

    private var text: String {
        switch self {
        case .unreadable(let path, let why): "'\(path)' cannot be read: \(why)"
        case .notFolder(let path): "'\(path)' is not a folder; expected one that holds train/ and val/ or class folders"
        case .isPicture(let path): "'\(path)' is a picture; expected a folder of pictures, or a CSV or TSV list of them"
        case .noClasses(let path, let found):
            found.isEmpty
                ? "'\(path)' is empty; expected one folder of pictures for each class"
                : "'\(path)' holds no class folders, only \(found); expected one folder of pictures for each class"
        case .noPictures(let path): "'\(path)' holds no pictures"
        case .emptyClasses(let path, let names):
            "'\(path)' has no pictures for \(quoted(names)); add some or remove the empty class"
        case .singleClass(let path, let name):
            "'\(path)' holds only the class '\(name)'; a classifier needs at least two"
        case .equalClasses(let path, let name):
            "'\(path)' has two folders called '\(name)', in two Unicode forms; expected one folder for each class"
        case .unknownClasses(let path, let names, let expected):
            "'\(path)' has \(quoted(names)), not among the training classes \(quoted(expected))"
        case .foreignName(let path, let name):
            "'\(path)' holds the folder '\(name)', whose name is not UTF-8; rename it, for example with convmv"
        case .missingTrain(let path, let found):
            "'\(path)' holds \(quoted(found)) but no train/; expected train/ and val/ (in small letters), each with a folder "
                + "of pictures for each class"
        case .missingValidation(let path):
            "'\(path)' does not say which pictures are for validation; add a val/ folder beside train/, or give "
                + "--val-fraction, for example 0.2"
        case .emptyPart(let path, let name):
            "'\(path)' has a split column that says \(name) nowhere; mark some pictures so, or leave the column away"
        case .redundantFraction(let path, let name): "'\(path)' has \(name) of its own; leave --val-fraction away"
        case .badFraction(let value): "--val-fraction: \(value) is not between 0 and 1"
        case .tooFewToSplit(let path, let name, let count):
            "'\(path)': class '\(name)' has \(count) picture\(count == 1 ? "" : "s"), "
                + "too few to split; expected at least 2"
        case .badList(let path, let line, let why): "'\(path)' line \(line): \(why)"
        }
    }

    private func quoted(_ names: [String]) -> String {
        let shown = names.prefix(8).map { "'\($0)'" }.joined(separator: ", ")
        return names.count > 8 ? "\(shown) and \(names.count - 8) more" : shown
    }
}
