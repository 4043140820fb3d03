import Files

/// Where a picture was found.
private struct Location {
    var part: Int
    var label: Int
    var path: String
}

extension DataReport.Duplicate {
    /// Files of `datasets` (the parts of one whole) with equal bytes, worst kind first. Files that cannot be read
    /// and empty ones are passed over.
    ///
    /// Only files of equal size are read.
    static func all(in datasets: [PictureDataset], limits: DecodeLimits = DecodeLimits()) -> [DataReport.Duplicate] {
        let places = datasets.enumerated().flatMap { part, dataset in
            dataset.samples.map { Location(part: part, label: $0.label, path: $0.path) }
        }
        let sizes = parallelMap(places.count) { (try? FileStatus(path: places[$0].path))?.byteCount ?? -1 }
        let bySize = Dictionary(grouping: places.indices, by: { sizes[$0] })
        let suspects = bySize.filter { $0.key > 0 && $0.value.count > 1 }.flatMap(\.value).sorted()
        let hashes = parallelMap(suspects.count) { index in
            (try? FileBytes(picture: places[suspects[index]].path, limits: limits))?.sha256() ?? ""
        }
        let copies = Dictionary(grouping: zip(hashes, suspects).filter { !$0.0.isEmpty }, by: \.0)
        return copies.values.compactMap { copies in DataReport.Duplicate(copies.map { places[$0.1] }) }.sorted { a, b in
            a.severity != b.severity ? a.severity < b.severity : FileSystem.precedes(a.paths[0], b.paths[0])
        }
    }

    private init?(_ locations: [Location]) {
        guard locations.count > 1 else { return nil }
        if Set(locations.map(\.label)).count > 1 {
            kind = .acrossClasses
        } else if Set(locations.map(\.part)).count > 1 {
            kind = .acrossParts
        } else {
            kind = .withinClass
        }
        paths = locations.map(\.path).sorted(by: FileSystem.precedes)
    }

    private var severity: Int {
        switch kind {
        case .acrossClasses: 0
        case .acrossParts: 1
        case .withinClass: 2
        }
    }
}

extension DatasetSplit {
    /// One line for each thing about the pictures that misleads training: the same picture in two classes or in both parts,
    /// classes of very different size.
    public func warnings() -> [String] {
        DataReport.warnings(
            classes: classes, counts: train.classCounts, duplicates: DataReport.Duplicate.all(in: [train, val]))
    }
}

extension DataReport {
    /// The lines of `DatasetSplit.warnings()`.
    public var warnings: [String] {
        DataReport.warnings(classes: classes, counts: parts.first?.classCounts ?? [], duplicates: duplicates)
    }

    /// From this ratio of the largest to the smallest class on, classes are called uneven.
    private static let unevenRatio = 3.0

    fileprivate static func warnings(classes: [String], counts: [Int], duplicates: [Duplicate]) -> [String] {
        func line(_ kind: Duplicate.Kind, _ place: String, _ advice: String) -> String? {
            let found = duplicates.filter { $0.kind == kind }
            guard let first = found.first, first.paths.count > 1 else { return nil }
            let subject = found.count == 1 ? "1 picture lies" : "\(found.count) pictures lie"
            return "\(subject) in \(place), for example '\(first.paths[0])' and '\(first.paths[1])': \(advice)"
        }
        var lines = [
            line(.acrossClasses, "more than one class", "all but one of the labels are wrong"),
            line(.acrossParts, "both training and validation", "validation will look better than it is"),
        ]
        .compactMap { $0 }
        if let most = counts.indices.max(by: { counts[$0] < counts[$1] }),
            let least = counts.indices.min(by: { counts[$0] < counts[$1] }), counts[least] > 0,
            Double(counts[most]) >= unevenRatio * Double(counts[least])
        {
            lines.append(
                "classes are uneven: \(counts[most]) training pictures of '\(classes[most])', \(counts[least]) of "
                    + "'\(classes[least])' (--class-weights balanced makes them count alike)")
        }
        return lines
    }
}
