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
    /// Only files of equal size are read, and none where `contents` tells what each picture of each dataset contains (nil
    /// for one that cannot be read).
    static func all(
        in datasets: [PictureDataset], contents: [[SHA256.Digest?]]? = nil, limits: DecodeLimits = DecodeLimits()
    ) -> [DataReport.Duplicate] {
        let places = datasets.enumerated().flatMap { part, dataset in
            dataset.samples.map { Location(part: part, label: $0.label, path: $0.path) }
        }
        let copies = contents.map { equal(among: Array($0.joined())) } ?? equal(among: places, limits)
        let found = copies.compactMap { group in DataReport.Duplicate(group.map { places[$0] }) }
        return found.sorted { a, b in
            a.severity != b.severity ? a.severity < b.severity : FileSystem.precedes(a.paths[0], b.paths[0])
        }
    }

    /// Positions of equal contents, where there are several. Empty files do not count.
    private static func equal(among contents: [SHA256.Digest?]) -> [[Int]] {
        let nothing = SHA256().value
        var first: [SHA256.Digest: Int] = [:]
        first.reserveCapacity(contents.count)
        var groups: [SHA256.Digest: [Int]] = [:]
        for (position, content) in contents.enumerated() {
            guard let content, content != nothing else { continue }
            if let earlier = first[content] {
                groups[content, default: [earlier]].append(position)
            } else {
                first[content] = position
            }
        }
        return Array(groups.values)
    }

    /// The same, reading the files that may be equal.
    private static func equal(among places: [Location], _ limits: DecodeLimits) -> [[Int]] {
        let sizes = parallelMap(places.count) { (try? FileStatus(path: places[$0].path))?.byteCount ?? -1 }
        let bySize = Dictionary(grouping: places.indices, by: { sizes[$0] })
        let suspects = bySize.filter { $0.key > 0 && $0.value.count > 1 }.flatMap(\.value).sorted()
        let observer = WorkProgress.observer
        let contents = parallelMap(suspects.count, { observer?("looking for copies", $0, suspects.count) }) { index in
            try? FileBytes(picture: places[suspects[index]].path, limits: limits).digest()
        }
        return equal(among: contents).map { group in group.map { suspects[$0] } }
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
    ///
    /// - Parameter contents: SHA-256 of each picture's bytes, training and validation pictures, where known already; nil in
    ///   it for one that cannot be read.
    public func warnings(contents: (train: [SHA256.Digest?], val: [SHA256.Digest?])? = nil) -> [String] {
        DataReport.warnings(
            classes: classes, counts: train.classCounts,
            duplicates: DataReport.Duplicate.all(in: [train, val], contents: contents.map { [$0.train, $0.val] }))
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
