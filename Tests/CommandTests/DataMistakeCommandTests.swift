import Foundation
import Testing

/// Data with mistakes in it, as the program meets it.
@Suite struct DataMistakeCommandTests {
    @Test func evaluatesThePartThatARunWasValidatedOn() throws {
        let folder = try Scratch()
        let pool = try folder.pictures("pool", classes: ["5", "6"], each: 10)
        let part = ["--val-fraction", "0.5", "--seed", "3"]
        let run = try Program.run(
            ["--model", Program.tiny, "--data", pool, "--epochs", "2", "--lr", "0.1", "--output", folder / "run"]
                + part + ["--json"])
        #expect(run.status == 0, "\(run.errors)")
        let report = try run.json()
        let model = try #require(report["output"] as? String)
        func evaluate(_ data: String, _ more: [String] = []) throws -> Program.Result {
            try Program.run(["evaluate", "--model", model, "--data", data, "--json"] + more)
        }
        let scored = try evaluate(pool, part).json()
        #expect(scored["total"] as? Int == 10)
        #expect(scored["accuracy"] as? Double == report["best_val_accuracy"] as? Double)
        #expect(try evaluate(pool).json()["total"] as? Int == 20)

        _ = try folder.pictures("alone/val", classes: ["5", "6"], each: 3)
        #expect(try evaluate(folder / "alone").json()["total"] as? Int == 6)
        let usage = try evaluate(pool, ["--val-fraction", "1"])
        #expect(usage.status == 2 && usage.errors.contains("--val-fraction: 1.0"), "\(usage.errors)")

        for label in ["5", "6"] {
            try FileManager.default.createDirectory(
                atPath: folder / "broken/\(label)", withIntermediateDirectories: true)
            for name in ["1.png", "2.png"] {
                _ = FileManager.default.createFile(atPath: folder / "broken/\(label)/\(name)", contents: Data())
            }
        }
        let search = try Program.run([
            "lr-find", "--model", Program.tiny, "--data", folder / "broken", "--val-fraction", "0.5", "--augment",
            "none",
            "--skip-bad-pictures",
        ])
        #expect(search.status == 1, "\(search.errors)")
        let nothing = try evaluate(folder / "broken", ["--skip-bad-pictures"])
        #expect(nothing.status == 1 && nothing.errors.contains("none of its 4 pictures"), "\(nothing.errors)")
    }

    @Test func predictSaysWhatItLeavesOut() throws {
        let folder = try Scratch()
        let manager = FileManager.default
        let root = try folder.pictures("in", classes: ["5"], each: 2)
        _ = manager.createFile(atPath: root + "/5/notes.txt", contents: Data("notes\n".utf8))
        _ = manager.createFile(atPath: root + "/5/zero.png", contents: Data())
        try manager.createSymbolicLink(atPath: root + "/5/zero-gone.png", withDestinationPath: "/nowhere")
        let predict = ["predict", "--model", Program.tiny, root]
        let stopped = try Program.run(predict)
        #expect(stopped.status == 1 && stopped.errors.contains("zero"), "\(stopped.errors)")
        #expect(stopped.errors.contains("1 file is not a picture and left out"), "\(stopped.errors)")
        let skipped = try Program.run(predict + ["--skip-bad-pictures"])
        #expect(skipped.status == 0 && skipped.output.split(separator: "\n").count == 2, "\(skipped.output)")
        #expect(skipped.errors.split(separator: "\n").count { $0.hasPrefix("left out: ") } == 2, "\(skipped.errors)")
    }

    @Test func dataShowsWhatTrainingWouldSee() throws {
        let folder = try Scratch()
        let manager = FileManager.default
        let pool = try folder.pictures("pool", classes: ["5", "6"], each: 5)
        // Three characters of six UTF-16 units.
        let name = String(repeating: "n\u{303}", count: 3)
        try manager.moveItem(atPath: pool + "/6", toPath: "\(pool)/\(name)")
        let shown = try Program.run(["data", pool, "--no-sheet"])
        #expect(shown.status == 0 && shown.output.contains("\n\(name)         5\n"), "\(shown.output)")

        let files = try manager.subpathsOfDirectory(atPath: pool).filter { $0.hasSuffix(".png") }.sorted()
        let lines = files.map { "pool/\($0),\($0.hasPrefix("5") ? "five" : "six")\n" }
        try Data(lines.joined().utf8).write(to: URL(fileURLWithPath: folder / "list.txt"))
        let listed = try Program.run(["data", folder / "list.txt", "--no-sheet", "--json"])
        let parts = try #require(try listed.json()["parts"] as? [[String: Any]])
        #expect(parts.map { $0["count"] as? Int } == [8, 2])
        let trained = try Program.run(["--model", Program.tiny, "--data", folder / "list.txt", "--dry-run"])
        #expect(trained.output.contains("8 train and 2 val pictures"), "\(trained.errors)")

        let picture = try Program.run(["data", "\(pool)/\(files[0])"])
        #expect(picture.status == 1 && picture.errors.contains("is a picture"), "\(picture.errors)")
        let usage = try Program.run(["data", pool, "--val-fraction", "2"])
        #expect(usage.status == 2 && usage.errors.contains("--val-fraction: 2.0"), "\(usage.errors)")
    }
}
