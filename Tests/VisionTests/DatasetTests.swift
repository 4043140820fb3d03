import Files
import Foundation
import TensorCore
import TestSupport
import Testing

@testable import Vision

@Suite("Datasets")
struct DatasetTests {
    private func error(_ body: () throws -> Void) -> DatasetError? {
        do { try body() } catch { return error as? DatasetError }
        return nil
    }

    @Test("classes and files come in torchvision's order; what is no picture is reported")
    func imageFolder() throws {
        let folder = try TemporaryFolder()
        let png = try noisePNG(seed: 1)
        let jpeg = try Fixtures.bytes("420.jpg")
        for name in [
            "b/z.png", "b/a/1.png", "b/a-b/2.png", "b/Ä.png", "b/Z.png", "b/a/k/9.png", "a/two words.png",
            "c/.hidden/x.png",
        ] {
            try folder.write(name, png)
        }
        try folder.write("c/no-suffix", jpeg)
        try folder.write("c/upper.JPG", jpeg)
        try folder.write("a/.DS_Store", "junk")
        try folder.write("a/notes.txt", "hello")
        try folder.write("b/paper.gif", "%PDF-1.4....")
        try folder.write("b/empty.png", [])
        try folder.write("b/empty", [])
        try folder.write("README", "beside the classes")

        let dataset = try PictureDataset.imageFolder(folder.path)
        #expect(dataset.classes == ["a", "b", "c"])
        let relative = dataset.samples.map { String($0.path.dropFirst(folder.path.count + 1)) }
        // What sorted(os.walk(...)) gives.
        #expect(
            relative == [
                "a/two words.png", "b/Z.png", "b/empty.png", "b/z.png", "b/Ä.png", "b/a/1.png", "b/a-b/2.png",
                "b/a/k/9.png", "c/no-suffix", "c/upper.JPG",
            ])
        #expect(dataset.samples.map(\.label) == [0, 1, 1, 1, 1, 1, 1, 1, 2, 2])
        #expect(dataset.classCounts == [1, 7, 2])
        #expect(
            Set(dataset.ignored.map(\.kind)) == ["text", "a PDF document", "an empty file"]
                && dataset.ignored.count == 3
        )
        #expect(try #require(dataset.ignoredSummary).hasPrefix("3 files are not pictures and left out"))
    }
    @Test("links are followed, and one that leads back up ends the walk")
    func links() throws {
        let folder = try TemporaryFolder()
        try folder.write("outside/far.png", noisePNG(seed: 1))
        try folder.write("data/a/1.png", noisePNG(seed: 2))
        try folder.write("data/b/2.png", noisePNG(seed: 3))
        let files = FileManager.default
        try files.createSymbolicLink(atPath: folder.path + "/data/a/loop", withDestinationPath: folder.path + "/data/a")
        try files.createSymbolicLink(atPath: folder.path + "/data/b/far", withDestinationPath: folder.path + "/outside")
        try files.createSymbolicLink(atPath: folder.path + "/data/b/gone.png", withDestinationPath: "/nowhere")
        let dataset = try PictureDataset.imageFolder(folder.path + "/data")
        #expect(dataset.classCounts == [1, 3])
        #expect(dataset.samples.last?.path == folder.path + "/data/b/far/far.png")
        #expect(dataset.ignored.isEmpty)
    }

    @Test("folders far below each other are walked, beyond those that are held open")
    func deepFolders() throws {
        let folder = try TemporaryFolder()
        let deep = Array(repeating: "d", count: 150).joined(separator: "/")
        for label in ["a", "b"] {
            try folder.write("\(label)/\(deep)/9.png", noisePNG(seed: 1))
            try folder.write("\(label)/d/d/1.png", noisePNG(seed: 2))
            try folder.write("\(label)/\(deep)/notes.txt", "hello")
        }
        let dataset = try PictureDataset.imageFolder(folder.path)
        #expect(
            dataset.samples.map(\.path)
                == ["a", "b"].flatMap { ["\($0)/d/d/1.png", "\($0)/\(deep)/9.png"] }.map { "\(folder.path)/\($0)" })
        #expect(dataset.ignored.map(\.kind) == ["text", "text"])
    }

    @Test("what is evaluated is listed, not what was trained on")
    func validationListsItselfAlone() throws {
        let folder = try TemporaryFolder()
        for name in ["val/b/1.png", "val/c/2.png"] { try folder.write(name, noisePNG(seed: 1)) }
        for name in ["a", "b", "c"] {
            try folder.write("train/\(name)/notes.txt", "no picture, which listing would refuse")
        }
        let dataset = try DatasetSplit.validation(folder.path)
        #expect(dataset.classes == ["a", "b", "c"] && dataset.classCounts == [0, 1, 1])
        #expect(error { _ = try DatasetSplit.read(folder.path) } == .noPictures(folder.path + "/train"))
        try folder.write("val/d/3.png", noisePNG(seed: 1))
        #expect(
            error { _ = try DatasetSplit.validation(folder.path) }
                == .unknownClasses(folder.path + "/val", names: ["d"], expected: ["a", "b", "c"]))
    }

    @Test("pictures found once are divided as often as asked for")
    func foundOnce() throws {
        let folder = try TemporaryFolder()
        for name in ["a", "b"] {
            for number in 0..<10 { try folder.write("\(name)/\(number).png", noisePNG(seed: UInt64(number))) }
        }
        let found = try FoundPictures(folder.path)
        for seed in [0, 7] as [UInt64] {
            let (a, b) = (
                try found.split(valFraction: 0.3, seed: seed),
                try DatasetSplit.read(folder.path, valFraction: 0.3, seed: seed)
            )
            #expect(a.train.samples == b.train.samples && a.val.samples == b.val.samples)
        }
        #expect(error { _ = try found.split() } == .missingValidation(folder.path))
    }

    @Test("contents that are known already tell the same copies as reading the files")
    func copiesOfKnownContents() throws {
        let folder = try TemporaryFolder()
        for (name, seed) in [("a/1.png", 1), ("a/2.png", 2), ("b/3.png", 1), ("b/4.png", 4), ("b/5.png", 4)] {
            try folder.write(name, noisePNG(seed: UInt64(seed)))
        }
        try folder.write("a/empty.png", [])
        try folder.write("b/empty.png", [])
        let dataset = try PictureDataset.imageFolder(folder.path)
        let contents = dataset.samples.map { try? FileBytes(path: $0.path).digest() }
        let read = DataReport.Duplicate.all(in: [dataset])
        #expect(read.map(\.kind) == [.acrossClasses, .withinClass])
        #expect(DataReport.Duplicate.all(in: [dataset], contents: [contents]) == read)
    }

    @Test("folders that make no dataset are refused with what is missing")
    func badFolders() throws {
        let folder = try TemporaryFolder()
        let root = folder.path
        try folder.write("flat/1.png", noisePNG(seed: 1))
        try folder.write("single/ants/1.png", noisePNG(seed: 1))
        try folder.write("hollow/ants/1.png", noisePNG(seed: 1))
        try folder.write("hollow/bees/readme.txt", "none yet")
        try folder.write("nothing/ants/readme.txt", "none yet")
        #expect(
            error { _ = try PictureDataset.imageFolder(root + "/flat") } == .noClasses(root + "/flat", found: "1 file"))
        #expect(
            error { _ = try PictureDataset.imageFolder(root + "/single") }
                == .singleClass(root + "/single", name: "ants"))
        #expect(
            error { _ = try PictureDataset.imageFolder(root + "/hollow") }
                == .emptyClasses(root + "/hollow", names: ["bees"]))
        #expect(error { _ = try PictureDataset.imageFolder(root + "/nothing") } == .noPictures(root + "/nothing"))
        #expect(error { _ = try PictureDataset.imageFolder(root + "/flat/1.png") } == .notFolder(root + "/flat/1.png"))
        #expect(
            error { _ = try PictureDataset.imageFolder(root + "/absent") }
                == .unreadable(root + "/absent", why: "no such file or folder"))
    }

    @Test("train and val folders share the training classes")
    func trainAndVal() throws {
        let folder = try TemporaryFolder()
        for (index, name) in ["train/a/1.png", "train/b/2.png", "train/b/3.png", "val/b/4.png"].enumerated() {
            try folder.write(name, noisePNG(seed: UInt64(index)))
        }
        let split = try DatasetSplit.imageFolder(folder.path)
        #expect(split.classes == ["a", "b"])
        #expect(split.train.classCounts == [1, 2])
        #expect(split.val.classCounts == [0, 1])
        #expect(
            error { _ = try DatasetSplit.imageFolder(folder.path, valFraction: 0.5) }
                == .redundantFraction(folder.path, name: "a val/ folder"))
        try folder.write("val/c/5.png", noisePNG(seed: 9))
        #expect(
            error { _ = try DatasetSplit.imageFolder(folder.path) }
                == .unknownClasses(folder.path + "/val", names: ["c"], expected: ["a", "b"]))
    }

    @Test("one folder is split by class and seed")
    func stratifiedSplit() throws {
        let folder = try TemporaryFolder()
        let png = try noisePNG(seed: 1)
        for index in 0..<20 { try folder.write("a/\(index).png", png) }
        for index in 0..<5 { try folder.write("b/\(index).png", png) }
        let split = try DatasetSplit.imageFolder(folder.path, valFraction: 0.2, seed: 4)
        #expect(split.train.classCounts == [16, 4])
        #expect(split.val.classCounts == [4, 1])
        let paths = (split.train.samples + split.val.samples).map(\.path)
        #expect(Set(paths).count == 25)
        #expect(split.val.samples.map(\.path) == split.val.samples.map(\.path).sorted(by: FileSystem.precedes))
        let again = try DatasetSplit.imageFolder(folder.path, valFraction: 0.2, seed: 4)
        #expect(again.val.samples == split.val.samples)
        let other = try DatasetSplit.imageFolder(folder.path, valFraction: 0.2, seed: 5)
        #expect(other.val.samples != split.val.samples)

        #expect(error { _ = try DatasetSplit.imageFolder(folder.path) } == .missingValidation(folder.path))
        #expect(error { _ = try DatasetSplit.imageFolder(folder.path, valFraction: 1) } == .badFraction(1))
        try folder.write("c/only.png", png)
        #expect(
            error { _ = try DatasetSplit.imageFolder(folder.path, valFraction: 0.2) }
                == .tooFewToSplit(folder.path, name: "c", count: 1))
    }

    @Test("lists may be CSV or TSV, with or without a header, quoted, with numbers as labels")
    func lists() throws {
        let folder = try TemporaryFolder()
        for name in ["one.png", "two, too.png", "sub/three.png"] { try folder.write(name, noisePNG(seed: 1)) }
        let plain = try folder.write(
            "plain.csv", "one.png,cat\r\n\"two, too.png\",\"a \"\"dog\"\"\"\n\nsub/three.png,cat")
        let dataset = try PictureDataset.list(plain)
        #expect(dataset.classes == ["a \"dog\"", "cat"])
        #expect(dataset.samples.map(\.label) == [1, 0, 1])
        #expect(dataset.samples[2].path == folder.path + "/sub/three.png")

        let header = try folder.write("header.tsv", "Label\tsize\tFile\n10\t3\tone.png\n9\t3\ttwo, too.png\n")
        let numbered = try PictureDataset.list(header)
        #expect(numbered.classes == ["9", "10"])
        #expect(numbered.samples.map(\.label) == [1, 0])
        #expect(try PictureDataset.list(header, classes: ["8", "9", "10"]).samples.map(\.label) == [2, 1])
    }

    @Test("a list may hold both parts, or be split, or come in two files")
    func listSplits() throws {
        let folder = try TemporaryFolder()
        for name in ["1.png", "2.png", "3.png", "4.png"] { try folder.write(name, noisePNG(seed: 1)) }
        let both = try folder.write(
            "both.csv", "path,label,split\n1.png,a,train\n2.png,b,Train\n3.png,b,val\n4.png,a,valid\n")
        let split = try DatasetSplit.read(both)
        #expect(split.train.samples.map(\.label) == [0, 1] && split.val.samples.map(\.label) == [1, 0])
        #expect(
            error { _ = try DatasetSplit.read(both, valFraction: 0.5) }
                == .redundantFraction(both, name: "a split column"))

        let plain = try folder.write("plain.csv", "1.png,a\n2.png,b\n3.png,b\n4.png,a\n")
        #expect(try DatasetSplit.read(plain).val.classCounts == [1, 1])
        #expect(try DatasetSplit.read(plain, valFraction: 0.5).val.classCounts == [1, 1])

        let val = try folder.write("val.csv", "3.png,b\n")
        let two = try DatasetSplit.lists(train: plain, val: val)
        #expect(two.val.classes == ["a", "b"] && two.val.samples.map(\.label) == [1])

        let bad = try folder.write("bad.csv", "path,label,split\n1.png,a,maybe\n")
        #expect(
            error { _ = try DatasetSplit.read(bad) }
                == .badList(bad, line: 2, why: "split is 'maybe'; expected train, val or test"))
        #expect(
            error { _ = try DatasetSplit.read(folder.path + "/none") }
                == .unreadable(folder.path + "/none", why: "no such file or folder"))
    }

    @Test("a bad list is refused with its line")
    func badLists() throws {
        let folder = try TemporaryFolder()
        try folder.write("one.png", noisePNG(seed: 1))
        func reason(_ text: String, classes: [String]? = nil) throws -> DatasetError? {
            let path = try folder.write("list.csv", text)
            return error { _ = try PictureDataset.list(path, classes: classes) }
        }
        let path = folder.path + "/list.csv"
        #expect(
            try reason("one.png,a\none.png\n")
                == .badList(path, line: 2, why: "expected at least 2 fields, got 1 field"))
        #expect(try reason("one.png,a\n\"one.png,a\n") == .badList(path, line: 2, why: "a quote is not closed"))
        #expect(
            try reason("one.png,a\n,b\n")
                == .badList(path, line: 2, why: "expected a path and a label, one of them is empty"))
        #expect(try reason("one.png,a\n") == .singleClass(path, name: "a"))
        #expect(try reason("") == .noPictures(path))
        let gone = "expected a picture at '\(folder.path)/gone.png': no such file or folder"
        #expect(
            try reason("one.png,a\ngone.png,b\n")
                == .badList(path, line: 2, why: "\(gone) (paths count from the list's folder)"))
        #expect(
            try reason("gone.png,a\none.png,b\n")
                == .badList(path, line: 1, why: "\(gone) (if this is a header, call its columns path and label)"))
        #expect(
            try reason("one.png,a\none.png,z\n", classes: ["a", "b"])
                == .unknownClasses(path, names: ["z"], expected: ["a", "b"]))
    }

    @Test("the report finds unreadable files, duplicates, sizes and imbalance")
    func report() throws {
        let folder = try TemporaryFolder()
        let (same, other) = (try noisePNG(seed: 1), try noisePNG(width: 4, seed: 2))
        try folder.write("train/a/1.png", same)
        try folder.write("train/a/2.png", noisePNG(seed: 3))
        try folder.write("train/a/3.jpg", Fixtures.bytes("420.jpg"))
        try folder.write("train/b/4.png", same)
        try folder.write("val/a/5.png", other)
        try folder.write("val/b/6.png", noisePNG(seed: 5))
        try folder.write("val/b/7.jpg", Fixtures.bytes("420.jpg").dropLast(100))
        try folder.write("val/b/8.gif", "text")
        try folder.write("train/a/9.png", other)
        let report = DataReport(try DatasetSplit.imageFolder(folder.path))
        #expect(report.parts.map(\.name) == ["train", "val"])
        #expect(report.parts.map(\.classCounts) == [[4, 1], [1, 2]])
        #expect(report.imbalance == 4)
        #expect(report.parts[0].formats == [.png: 4, .jpeg: 1])
        #expect(report.parts[0].sizes[PictureSize(width: 9, height: 7)] == 3)
        #expect(report.parts[1].unreadable.map(\.path) == [folder.path + "/val/b/7.jpg"])
        #expect(report.parts[1].ignored.count == 1)
        #expect(
            report.duplicates == [
                DataReport.Duplicate(
                    kind: .acrossClasses, paths: [folder.path + "/train/a/1.png", folder.path + "/train/b/4.png"]),
                DataReport.Duplicate(
                    kind: .acrossParts, paths: [folder.path + "/train/a/9.png", folder.path + "/val/a/5.png"]),
            ])
    }
}
