import ArgumentParser
import FineTune
import Foundation

/// `finetune data`: what training would see.
struct DataCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "data", abstract: "What is in a folder or list of pictures, and a contact sheet.",
        discussion: """
            Opens every picture: how many there are of each class, their sizes and formats, which cannot be read, which \
            occur twice where that misleads training.
            """)

    @Argument(help: ArgumentHelp("Folder with train/ and val/, folder of classes, or CSV list.", valueName: "path"))
    var path: String

    @OptionGroup(title: "Validation") var split: SplitOptions
    @OptionGroup(title: "Contact sheet") var sheet: SheetOptions
    @OptionGroup(title: "Output") var output: OutputOptions

    struct SheetOptions: ParsableArguments {
        @Option(
            name: .customLong("output"),
            help: ArgumentHelp("PNG file to write. Default: NAME-contact-sheet.png here.", valueName: "file"))
        var path: String?
        @Option(help: "Pictures of each class.") var perClass = 8
        @Flag(help: "Write no contact sheet.") var noSheet = false
    }

    func validate() throws {
        guard sheet.perClass >= 1 else { throw ValidationError("--per-class: expected a positive number") }
        guard sheet.path == nil || !sheet.noSheet else {
            throw ValidationError("--output and --no-sheet exclude each other")
        }
    }

    func run() throws {
        let report = try showingProgress(!output.quiet) {
            try DataReport(path: path, valFraction: split.valFraction, seed: split.seed)
        }
        let file = sheet.noSheet ? nil : sheet.path ?? DataCommand.defaultSheet(path)
        if let file { try checkOutput(file, inputs: [path] + report.parts.flatMap { $0.dataset.samples.map(\.path) }) }
        if output.isShowingText { show(report) }
        if let file {
            let contacts = ContactSheet(report, perClass: sheet.perClass)
            try contacts.write(to: file)
            let part = contacts.classCount < report.classes.count ? " (the first \(contacts.classCount) classes)" : ""
            if !output.quiet { Console.line("Contact sheet: \(file)\(part)") }
        }
        if output.json { try Console.json(Summary(report, sheet: file)) }
    }

    /// `ants-contact-sheet.png` for `pictures/ants/` and `pictures/ants.csv`.
    private static func defaultSheet(_ path: String) -> String {
        let name = URL(fileURLWithPath: path).deletingPathExtension().lastPathComponent
        return "\(name.isEmpty || name == "/" ? "data" : name)-contact-sheet.png"
    }

    // MARK: - Text

    private func show(_ report: DataReport) {
        for line in countLines(report) { Console.line(line) }
        for part in report.parts {
            let title = report.parts.count > 1 ? " (\(part.name))" : ""
            let formats = part.formats.map { "\($0.value) \($0.key.rawValue)" }.sorted().joined(separator: ", ")
            if !formats.isEmpty { Console.line("Formats\(title): \(formats)") }
            if let sizes = sizeLine(part.sizes) { Console.line("Sizes\(title): \(sizes)") }
            let foreign = part.ignored.filter { !$0.isPicture }
            for file in foreign.prefix(5) { Console.line("Not a picture\(title): '\(file.path)' (\(file.kind))") }
            if foreign.count > 5 { Console.line("Not a picture\(title): \(foreign.count - 5) more") }
            let left = part.ignored.filter(\.isPicture)
            if let first = left.first {
                Console.line("Left out\(title): \(Wording.count(left.count, "picture")) \(first.kind)")
            }
            if part.rotatedCount > 0 {
                Console.line(
                    "Rotated\(title): \(Wording.count(part.rotatedCount, "picture")) (train --exif apply turns them)")
            }
            for picture in part.unreadable.prefix(5) { Console.line("Cannot be read\(title): \(picture)") }
            if part.unreadable.count > 5 { Console.line("Cannot be read\(title): \(part.unreadable.count - 5) more") }
        }
        for warning in report.warnings { Console.line("Warning: \(warning)") }
        let repeated = report.duplicates.count { $0.kind == .withinClass }
        if repeated > 0 {
            Console.line("Repeated: \(Wording.count(repeated, "picture")) more than once within a class")
        }
    }

    /// A row for each class, a column for each part.
    private func countLines(_ report: DataReport) -> [String] {
        let names = report.classes.map(\.shown) + ["all"]
        let columns = report.parts.map { part in
            [part.name] + part.classCounts.map { "\($0)" } + ["\(part.count)"]
        }
        let width = names.map(\.count).max() ?? 0
        let rows = ["class"] + names
        return rows.indices.map { row in
            let name = rows[row] + String(repeating: " ", count: max(width, 5) - rows[row].count)
            let numbers = columns.map { column in
                String(repeating: " ", count: max(0, 8 - column[row].count)) + column[row]
            }
            return name + numbers.joined()
        }
    }

    private func sizeLine(_ sizes: [PictureSize: Int]) -> String? {
        func area(_ size: PictureSize) -> Int { size.width * size.height }
        let order = sizes.keys.sorted { (area($0), $0.width) < (area($1), $1.width) }
        guard let least = order.first, let most = order.last else { return nil }
        if order.count == 1 { return "all \(least)" }
        let usual = order.max { (sizes[$0] ?? 0) < (sizes[$1] ?? 0) } ?? least
        return "\(order.count) different, \(least) to \(most), most often \(usual) (\(sizes[usual] ?? 0))"
    }

    // MARK: - JSON

    private struct Summary: Encodable {
        struct Part: Encodable {
            struct File: Encodable {
                var file: String
                var reason: String
            }
            struct Size: Encodable {
                var width, height, count: Int
            }
            struct Class: Encodable {
                var name: String
                var count: Int
            }
            var name: String
            var count: Int
            var classes: [Class]
            var formats: [String: Int]
            var sizes: [Size]
            var rotated: Int
            var unreadable: [File]
            var ignored: [File]
        }
        struct Duplicate: Encodable {
            var kind: String
            var files: [String]
        }
        var classes: [String]
        var parts: [Part]
        var duplicates: [Duplicate]
        var imbalance: Double
        var warnings: [String]
        var sheet: String?

        init(_ report: DataReport, sheet: String?) {
            classes = report.classes
            duplicates = report.duplicates.map { Duplicate(kind: $0.kind.rawValue, files: $0.paths) }
            imbalance = report.imbalance
            warnings = report.warnings
            self.sheet = sheet
            parts = report.parts.map { part in
                Part(
                    name: part.name, count: part.count,
                    classes: zip(report.classes, part.classCounts).map { Part.Class(name: $0, count: $1) },
                    formats: Dictionary(uniqueKeysWithValues: part.formats.map { ($0.key.rawValue, $0.value) }),
                    sizes: part.sizes.map { Part.Size(width: $0.key.width, height: $0.key.height, count: $0.value) }
                        .sorted { ($1.count, $0.width, $0.height) < ($0.count, $1.width, $1.height) },
                    rotated: part.rotatedCount,
                    unreadable: part.unreadable.map { Part.File(file: $0.path, reason: "\($0.reason)") },
                    ignored: part.ignored.map { Part.File(file: $0.path, reason: $0.kind) })
            }
        }
    }
}

/// Which pictures are for validation where the data does not say.
struct SplitOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Part of each class taken when there is no val/.", valueName: "fraction"))
    var valFraction: Double?
    @Option(help: "Decides which pictures are taken.") var seed: UInt64 = 0

    func validate() throws {
        guard let valFraction, !(valFraction > 0 && valFraction < 1) else { return }
        throw ValidationError("--val-fraction: \(valFraction) is not between 0 and 1")
    }
}
