import Foundation
import Testing

@testable import Vision

/// What people get wrong in their data, and what they are told.
@Suite("Mistakes in data")
struct DataMistakeTests {
    /// Writes a small picture under each name.
    private func write(_ names: [String], to folder: TemporaryFolder) throws {
        for (seed, name) in names.enumerated() { try folder.write(name, noisePNG(seed: UInt64(seed))) }
    }

    @Test("a class spelt in two Unicode forms is one class, and side by side an error")
    func unicodeForms() throws {
        let folder = try TemporaryFolder()
        let (composed, decomposed) = ("caf\u{E9}", "cafe\u{301}")
        try write(
            ["train/\(composed)/1.png", "train/tea/2.png", "val/\(decomposed)/3.png", "val/tea/4.png"], to: folder)
        #expect(try DatasetSplit.imageFolder(folder.path).val.classCounts == [1, 1])

        try write(["train/tea/\(composed)/5.png", "train/tea/\(decomposed)/6.png"], to: folder)
        #expect(try DatasetSplit.imageFolder(folder.path).train.classCounts == [1, 3])

        try write(["train/\(decomposed)/7.png"], to: folder)
        #expect(throws: DatasetError.equalClasses(folder.path + "/train", name: composed)) {
            try DatasetSplit.imageFolder(folder.path)
        }
    }

    @Test("files that cannot be read are pictures that fail, or are skipped with a count")
    func unreadableFiles() throws {
        let folder = try TemporaryFolder()
        try write(["a/1.png", "b/2.png"], to: folder)
        try folder.write("a/empty.jpg", [])
        try folder.write("b/notes.txt", "hello")
        try FileManager.default.createSymbolicLink(
            atPath: folder.path + "/b/gone.png", withDestinationPath: "/nowhere")
        let dataset = try PictureDataset.imageFolder(folder.path)
        #expect(dataset.classCounts == [2, 2] && dataset.ignored.map(\.kind) == ["text"])
        #expect(DataReport(dataset).parts[0].unreadable.map(\.reason) == [.empty, .file(.missing)])

        let found = try PictureFiles.find([folder.path])
        #expect(found.pictures == dataset.samples.map(\.path) && found.ignored == dataset.ignored)
        #expect(found.ignored.summary?.hasPrefix("1 file is not a picture and left out") == true)

        let failing = try BatchLoader(dataset, transform: .evaluation(side: 8))
        #expect(throws: PictureError.self) { try failing.epoch(0).next() }
        let skipping = try BatchLoader(
            dataset, transform: .evaluation(side: 8), configuration: .init(badPictures: .skip))
        #expect(try skipping.epoch(0).next()?.count == 2)
        #expect(skipping.skipped.count == 2)
    }

    @Test("folders named like parts of the data are no classes")
    func partNames() throws {
        let folder = try TemporaryFolder()
        let root = folder.path
        try write(["capital/Train/a/1.png", "capital/Train/b/2.png", "capital/Val/a/3.png"], to: folder)
        try write(["alone/val/a/1.png", "alone/val/b/2.png", "alone/val/b/3.png"], to: folder)
        for (name, parts) in [("capital", ["Train", "Val"]), ("alone", ["val"])] {
            let path = "\(root)/\(name)"
            #expect(throws: DatasetError.missingTrain(path, found: parts)) { try DatasetSplit.read(path) }
            #expect(throws: DatasetError.missingTrain(path, found: parts)) { try DataReport(path: path) }
        }
        #expect(throws: DatasetError.missingTrain(root + "/capital", found: ["Train", "Val"])) {
            try DatasetSplit.validation(root + "/capital")
        }
        #expect(try DatasetSplit.validation(root + "/alone").classCounts == [1, 2])
    }

    @Test("a model is evaluated on the part that its run was validated on")
    func validationPart() throws {
        let folder = try TemporaryFolder()
        let root = folder.path
        let names = (0..<5).flatMap { ["a/\($0).png", "b/\($0).png"] }
        try write(names.map { "whole/" + $0 } + names.map { "half/train/" + $0 }, to: folder)
        #expect(try DatasetSplit.validation(root + "/whole").count == 10)
        let split = try DatasetSplit.read(root + "/whole", valFraction: 0.4, seed: 3)
        #expect(
            try DatasetSplit.validation(root + "/whole", valFraction: 0.4, seed: 3).samples == split.val.samples)
        #expect(throws: DatasetError.missingValidation(root + "/half")) { try DatasetSplit.validation(root + "/half") }
        #expect(try DatasetSplit.validation(root + "/half", valFraction: 0.4).count == 4)
        #expect("\(DatasetError.missingValidation("half"))".contains("--val-fraction"))
    }

    @Test("lists are told from folders by what they are, not by their names")
    func kinds() throws {
        let folder = try TemporaryFolder()
        let root = folder.path
        try write(["folder.csv/a/1.png", "folder.csv/b/2.png", "1.png", "2.png", "3.png", "4.png"], to: folder)
        let list = try folder.write("list.txt", "1.png,a\n2.png,a\n3.png,b\n4.png,b\n")
        #expect(try DatasetSplit.validation(root + "/folder.csv").count == 2)
        #expect(try DatasetSplit.validation(list).count == 4)
        let report = try DataReport(path: list)
        #expect(report.parts.map(\.name) == ["train", "val"] && report.parts.map(\.count) == [2, 2])
        #expect(throws: DatasetError.isPicture(root + "/1.png")) { try DatasetSplit.read(root + "/1.png") }
    }

    @Test("spaces around fields do not count, those in quotes do")
    func spaces() throws {
        let folder = try TemporaryFolder()
        try write(["1.png", "2.png", "3.png", " 4, too.png"], to: folder)
        let list = try folder.write(
            "list.csv",
            "Path, Label , split\r\n1.png, a,train\n 2.png , b , train \r\n3.png,\"a\", val\n"
                + "\" 4, too.png\" , \"b\" ,val\n")
        let split = try DatasetSplit.list(list)
        #expect(split.classes == ["a", "b"])
        #expect(split.train.samples.map(\.label) == [0, 1] && split.val.samples.map(\.label) == [0, 1])
        #expect(split.val.samples.last?.path == folder.path + "/ 4, too.png")
    }

    @Test("a list's parts and classes must have pictures")
    func emptyParts() throws {
        let folder = try TemporaryFolder()
        try write(["1.png", "2.png", "3.png"], to: folder)
        try folder.write("4.gif", "text")
        func mistake(_ lines: String) throws -> DatasetError? {
            let list = try folder.write("list.csv", lines)
            do throws(DatasetError) { _ = try DatasetSplit.list(list) } catch { return error }
            return nil
        }
        let path = folder.path + "/list.csv"
        let header = "path,label,split\n"
        #expect(try mistake(header + "1.png,a,train\n2.png,b,train\n") == .emptyPart(path, name: "val"))
        #expect(try mistake(header + "1.png,a,val\n2.png,b,val\n") == .emptyPart(path, name: "train"))
        #expect(
            try mistake(header + "1.png,a,train\n2.png,b,train\n3.png,c,val\n")
                == .unknownClasses(path, names: ["c"], expected: ["a", "b"]))
        #expect(
            try mistake(header + "1.png,a,train\n2.png,b,train\n3.png,a,val\n4.gif,c,train\n")
                == .emptyClasses(path, names: ["c"]))
        #expect(
            try mistake("image_name,species\n1.png,a\n2.png,b\n")
                == .badList(
                    path, line: 1,
                    why: "expected a picture at '\(folder.path)/image_name': no such file or folder "
                        + "(if this is a header, call its columns path and label)"))
        let onlyVal = try folder.write("val.csv", header + "1.png,a,val\n2.png,b,val\n")
        #expect(try DatasetSplit.validation(onlyVal).count == 2)
    }
}
