import Files
import Foundation
import TestSupport
import Testing

@testable import Vision

@Suite("Lists and folders as people have them")
struct ListTests {
    private func folder(_ names: [String]) throws -> TemporaryFolder {
        let folder = try TemporaryFolder()
        for (seed, name) in names.enumerated() { try folder.write(name, noisePNG(seed: UInt64(seed))) }
        return folder
    }

    @Test("commas, semicolons and tabs, and lines that end with LF, CR LF or CR")
    func separatorsAndLines() throws {
        let folder = try folder(["1.png", "2.png", "3, the last.png"])
        for separator in [",", ";", "\t"] {
            for end in ["\n", "\r\n", "\r"] {
                let rows = [
                    ["path", "label"], ["1.png", "a"], ["2.png", "b"], ["\"3, the last.png\"", "a"], ["", ""], [""],
                ]
                let text = rows.map { $0.joined(separator: separator) + end }.joined()
                let list = try PictureDataset.list(folder.write("list.csv", text))
                #expect(list.samples.map(\.label) == [0, 1, 0], "\(text.debugDescription)")
            }
        }
        let wrong = try folder.write("wrong.csv", "path;label\r1.png;a\r\rnone.png;b\r")
        #expect(
            throws: DatasetError.badList(
                wrong, line: 4,
                why:
                    "expected a picture at '\(folder.path)/none.png': no such file or folder (paths count from the list's folder)"
            )
        ) { try PictureDataset.list(wrong) }
        let quoted = try folder.write("quoted.csv", "\"3, the last.png\";a\n1.png;b\n")
        #expect(try PictureDataset.list(quoted).count == 2)
    }

    @Test(
        "columns that tell training, validation and testing apart",
        arguments: [
            ("split", "train", "val", "test"), ("Split", "TRAIN", "Validation", "Testing"),
            ("subset", "training", "valid", "test"),
        ])
    func splitColumns(name: String, train: String, val: String, test: String) throws {
        let folder = try folder((1...6).map { "\($0).png" })
        let lines = ["1.png,a,\(train)", "2.png,b,\(train)", "3.png,a,\(val)", "4.png,b,\(val)", "5.png,a,\(test)"]
        let list = try folder.write("list.csv", (["path,label,\(name)"] + lines).joined(separator: "\n"))
        let split = try DatasetSplit.read(list)
        #expect(split.train.count == 2 && split.val.count == 2)
        #expect(split.ignored == [IgnoredFile(path: folder.path + "/5.png", kind: "marked test", isPicture: true)])
        #expect(split.train.ignoredSummary == "1 picture is marked test and left out")
        #expect(try DatasetSplit.validation(list).samples.map(\.path).count == 2)
    }

    @Test("a list of training and testing alone says where validation comes from")
    func testOnly() throws {
        let folder = try folder((1...6).map { "\($0).png" })
        let lines = ["5.png,a,test"] + (1...4).map { "\($0).png,\($0 % 2 == 0 ? "a" : "b"),train" }
        let list = try folder.write("list.csv", (["path,label,split"] + lines).joined(separator: "\n"))
        #expect(
            throws: DatasetError.badList(
                list, line: 2,
                why: "marked test, and no line is marked val; mark some so, or give --val-fraction, for example 0.2"
            )
        ) { try DatasetSplit.read(list) }
        let split = try DatasetSplit.read(list, valFraction: 0.5)
        #expect(split.train.count == 2 && split.val.count == 2)
        #expect(!(split.train.samples + split.val.samples).contains { $0.path.hasSuffix("5.png") })
        #expect(split.train.ignored.count == 1)
    }

    @Test("is_valid says true or false")
    func isValid() throws {
        let folder = try folder((1...4).map { "\($0).png" })
        let list = try folder.write(
            "list.csv", "path,label,is_valid\n1.png,a,False\n2.png,b,0\n3.png,a,True\n4.png,b,1\n")
        let split = try DatasetSplit.read(list)
        #expect(split.val.samples.map { String($0.path.suffix(5)) } == ["3.png", "4.png"])
        let wrong = try folder.write("wrong.csv", "path,label,is_valid\n1.png,a,maybe\n")
        #expect(throws: DatasetError.badList(wrong, line: 2, why: "is_valid is 'maybe'; expected true or false")) {
            try DatasetSplit.read(wrong)
        }
    }

    @Test("the folders of runs are no classes, and hold no pictures of one")
    func runFolders() throws {
        let folder = try folder([
            "a/1.png", "b/2.png", "runs/2026-12-01/predictions.png", "run1/predictions.png",
            "a/old-run/predictions.png", "runs/sweep-1/x.png",
        ])
        for run in ["runs/2026-12-01", "run1", "a/old-run"] {
            try folder.write("\(run)/run.json", "{}")
            try folder.write("\(run)/history.csv", "epoch\n")
        }
        for file in ["sweep.json", "sweep.csv"] { try folder.write("runs/sweep-1/\(file)", "") }
        let dataset = try PictureDataset.imageFolder(folder.path)
        #expect(dataset.classes == ["a", "b"] && dataset.classCounts == [1, 1])
        // A class of that name is one where pictures lie in it.
        try folder.write("runs/3.png", noisePNG(seed: 9))
        #expect(try PictureDataset.imageFolder(folder.path).classes == ["a", "b", "runs"])
    }

    @Test("a class folder whose name is not UTF-8 is refused by name")
    func foreignNames() throws {
        let folder = try folder(["train/a/1.png", "train/b/2.png", "val/a/3.png"])
        let name = "\(folder.path)/train/caf".utf8.map { CChar(bitPattern: $0) } + [CChar(bitPattern: 0xE9), 0]
        guard mkdir(name, 0o755) == 0 else { return }
        defer { rmdir(name) }
        #expect(throws: DatasetError.foreignName(folder.path + "/train", name: #"caf\xE9"#)) {
            try DatasetSplit.imageFolder(folder.path)
        }
    }

    @Test("names in messages are one line and misleading nobody")
    func misleadingNames() throws {
        let error = DatasetError.singleClass("/data", name: "new\nclass\u{1B}[31m\u{202E}")
        #expect("\(error)".contains(#"'new\nclass\u{1B}[31m\u{202E}'"#))
        #expect("\(PictureError(path: "bad\rname.jpg", reason: .empty))" == #"'bad\rname.jpg': the file is empty"#)
        #expect("\(FileError("a\nb", .missing))" == #"a\nb: no such file or folder"#)
    }
}
