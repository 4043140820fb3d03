import FineTune
import Foundation
import TestSupport
import Testing

/// `finetune data`, lists of pictures, and the forms of `finetune predict`.
@Suite struct DataCommandTests {
    @Test func tellsWhatIsInAFolder() throws {
        let folder = try Scratch()
        let run = try Program.run(["data", try folder.flawedPictures(), "--output", folder / "sheet.png", "--json"])
        #expect(run.status == 0, "\(run.errors)")
        let report = try run.json()
        #expect(report["classes"] as? [String] == ["five", "six"])
        let parts = try #require(report["parts"] as? [[String: Any]])
        #expect(parts.map { $0["name"] as? String } == ["train", "val"])
        #expect(parts.map { $0["count"] as? Int } == [9, 4])
        #expect((parts[0]["unreadable"] as? [[String: Any]])?.count == 1)
        #expect((parts[0]["ignored"] as? [[String: Any]])?.first?["reason"] as? String == "text")
        let duplicates = try #require(report["duplicates"] as? [[String: Any]])
        #expect(duplicates.map { $0["kind"] as? String } == ["acrossClasses", "acrossParts"])
        #expect((report["warnings"] as? [String])?.count == 3)
        #expect(report["imbalance"] as? Double == 3.5)
        for text in [
            "five        7       1", "Cannot be read (train)", "Warning: 1 picture lies in more than one class",
        ] {
            #expect(run.output.contains(text), "\(run.output)")
        }
        #expect(try Picture(contentsOf: folder / "sheet.png").width == 14 + 8 * 174)
    }

    @Test func warnsBeforeTraining() throws {
        let folder = try Scratch()
        let run = try Program.run([
            "--model", Program.tiny, "--data", try folder.flawedPictures(), "--epochs", "1", "--skip-bad-pictures",
            "--output", folder / "run",
        ])
        #expect(run.status == 0, "\(run.errors)")
        for text in ["lies in more than one class", "lies in both training and validation", "classes are uneven"] {
            #expect(run.errors.split(separator: "\n").count { $0.contains(text) } == 1, "\(run.errors)")
        }
    }

    @Test func readsLists() throws {
        let folder = try Scratch()
        _ = try folder.pictures("pool/one, \"two\"", classes: ["5", "6"], each: 10)
        let names = try FileManager.default.subpathsOfDirectory(atPath: folder / "pool").filter { $0.hasSuffix(".png") }
            .sorted()
        var lists: [String: [String]] = [
            "plain.csv": [], "header.csv": ["label,path,split"], "tabs.tsv": ["file\tclass"],
        ]
        for (index, name) in names.enumerated() {
            let path = "\"pool/" + name.replacingOccurrences(of: "\"", with: "\"\"") + "\""
            let label = name.contains("/5/") ? "five" : "six"
            lists["plain.csv"]?.append("\(path),\(label)")
            lists["header.csv"]?.append("\(label),\(path),\(index % 5 == 0 ? "val" : "train")")
            lists["tabs.tsv"]?.append("\(path)\t\"\(label)\"\r")
        }
        for (name, lines) in lists {
            try Data(lines.map { $0 + "\n" }.joined().utf8).write(to: URL(fileURLWithPath: folder / name))
            let run = try Program.run([
                "--model", Program.tiny, "--data", folder / name, "--epochs", "2", "--lr", "0.1", "--output",
                folder / "run-\(name)", "--json",
            ])
            #expect(run.status == 0, "\(name): \(run.errors)")
            #expect(run.output.contains("Data: 16 train and 4 val pictures of 2 classes (five, six)"), "\(run.output)")
            let output = try #require(try run.json()["output"] as? String)
            let scored = try Program.run(["evaluate", "--model", output, "--data", folder / name, "--json"]).json()
            #expect(scored["total"] as? Int == (name == "header.csv" ? 4 : 20), "\(name)")
        }
        let refused = try Program.run([
            "--model", Program.tiny, "--data", folder / "header.csv", "--val-fraction", "0.5", "--output",
            folder / "no",
        ])
        #expect(refused.status == 1 && refused.errors.contains("a split column"), "\(refused.errors)")
    }

    @Test func predictsFoldersAndPatterns() throws {
        let folder = try Scratch()
        let root = try folder.pictures("in, here", classes: ["5", "6"], each: 3)
        let model = ["predict", "--model", Program.tiny]
        let text = try Program.run(model + [root, "--top", "1", "--json", "--quiet"])
        #expect(text.status == 0, "\(text.errors)")
        #expect(text.output.split(separator: "\n").count == 7)
        #expect((try text.json()["predictions"] as? [[String: Any]])?.count == 6)

        let csv = try Program.run(
            model + [root + "/5/*.png", "--format", "csv", "--top", "2", "--output", folder / "out.csv"])
        #expect(csv.status == 0, "\(csv.errors)")
        let rows = try folder.text("out.csv").split(separator: "\n")
        #expect(rows.first == "file,class,probability,class_2,probability_2")
        #expect(rows.count == 4 && rows.dropFirst().allSatisfy { $0.hasPrefix("\"\(root)/5/") })

        let jsonl = try Program.run(model + [root + "/[56]", "--format", "jsonl", "--quiet"])
        let objects = try jsonl.output.split(separator: "\n").map {
            try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any]
        }
        #expect(objects.count == 6 && objects.allSatisfy { ($0?["top"] as? [Any])?.count == 5 })

        let none = try Program.run(model + [root + "/*.gif"])
        #expect(none.status == 1 && none.errors.contains("no file matches"))
        try Data("no picture".utf8).write(to: URL(fileURLWithPath: root + "/x.png"))
        let skipped = try Program.run(model + [root, root + "/x.png", "--skip-bad-pictures"])
        #expect(skipped.status == 0 && skipped.errors.contains("left out"))
        #expect(skipped.output.split(separator: "\n").count == 6)
    }
}

extension Scratch {
    /// Digits copied into `name/CLASS/`, `each` for every class.
    func pictures(_ name: String, classes: [String], each: Int, from part: String = "train") throws -> String {
        let manager = FileManager.default
        for label in classes {
            let source = "\(Program.digits)/\(part)/\(label)"
            let target = self / "\(name)/\(label)"
            try manager.createDirectory(atPath: target, withIntermediateDirectories: true)
            for file in try manager.contentsOfDirectory(atPath: source).sorted().prefix(each) {
                try manager.copyItem(atPath: "\(source)/\(file)", toPath: "\(target)/\(file)")
            }
        }
        return self / name
    }

    /// Seven pictures of one class and two of the other, four to validate; one cannot be read, one is in both classes, one
    /// in both parts, and a text lies among them.
    func flawedPictures() throws -> String {
        let manager = FileManager.default
        let root = self / "flawed"
        for (part, label, digit, count) in [
            ("train", "five", "5", 6), ("train", "six", "6", 1), ("val", "five", "5", 1), ("val", "six", "6", 2),
        ] {
            let source = "\(Program.digits)/\(part)/\(digit)"
            let target = "\(root)/\(part)/\(label)"
            try manager.createDirectory(atPath: target, withIntermediateDirectories: true)
            for file in try manager.contentsOfDirectory(atPath: source).sorted().prefix(count) {
                try manager.copyItem(atPath: "\(source)/\(file)", toPath: "\(target)/\(file)")
            }
        }
        func first(_ folder: String) throws -> String {
            "\(root)/\(folder)/\(try #require(try manager.contentsOfDirectory(atPath: "\(root)/\(folder)").sorted().first))"
        }
        let five = try first("train/five")
        try manager.copyItem(atPath: five, toPath: "\(root)/train/six/copy.png")
        try manager.copyItem(atPath: try first("train/six"), toPath: "\(root)/val/six/copy.png")
        let half = try #require(manager.contents(atPath: five)).prefix(60)
        try half.write(to: URL(fileURLWithPath: "\(root)/train/five/half.png"))
        try Data("notes\n".utf8).write(to: URL(fileURLWithPath: "\(root)/train/five/notes.txt"))
        return root
    }
}
