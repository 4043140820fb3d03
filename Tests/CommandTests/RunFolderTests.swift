import FineTune
import Foundation
import TestSupport
import Testing

/// What a run leaves behind.
@Suite struct RunFolderTests {
    @Test func aRunExplainsItself() throws {
        let folder = try Scratch()
        let run = try Program.run([
            "--model", Program.tiny, "--unfreeze", "fc", "--epochs", "3", "--output", folder / "run",
        ])
        #expect(run.status == 0, "\(run.errors)")
        let names = try FileManager.default.contentsOfDirectory(atPath: folder / "run")
        #expect(
            Set(["best.onnx", "curves.svg", "history.csv", "predictions.png", "report.html", "run.json"]).isSubset(
                of: names))

        let page = try folder.text("run/report.html")
        #expect(xmlError(page) == nil)
        // Markup that was escaped by mistake.
        #expect(!page.contains("=&quot;"))
        #expect(!page.contains("http:") && !page.contains("https:") && !page.contains("<script"))
        #expect(page.contains("<span>--unfreeze fc</span> <span>--epochs 3</span>"))
        #expect(page.components(separatedBy: "<svg").count == 3)
        #expect(page.components(separatedBy: "<img src=\"data:image/").count > 21)
        // Every validation picture is in the confusion matrix.
        let cells = page.matches(of: /<\/i><b>([0-9]+)<\/b><\/td>/).compactMap { Int($0.1) }
        #expect(cells.reduce(0, +) == 179)
        #expect(xmlError(try folder.text("run/curves.svg")) == nil)
        let sheet = try Picture(contentsOf: folder / "run/predictions.png")
        #expect(sheet.width == 14 + 6 * 174)
    }

    @Test func theReportTellsOfTheBestWeights() throws {
        let folder = try Scratch()
        let arguments = ["--model", Program.tiny, "--lr", "0.5", "--epochs", "3", "--output", folder / "run", "--json"]
        let run = try Program.run(arguments)
        let accuracy = try #require(try run.json()["best_val_accuracy"] as? Double)
        let page = try folder.text("run/report.html")
        let correct = Int((accuracy * 179).rounded())
        #expect(page.contains("\(correct) of 179 validation pictures are recognised"))
    }

    @Test func theEventsEqualTheHistory() throws {
        let folder = try Scratch()
        let run = try Program.run([
            "--model", Program.tiny, "--epochs", "2", "--output", folder / "run", "--json", "--quiet",
        ])
        let file = try #require(EventFile.last(in: folder / "run"))
        let epochs = try #require(try run.json()["epochs"] as? [[String: Any]])
        let bytes = try #require(FileManager.default.contents(atPath: file.path))
        for epoch in epochs {
            for key in ["train_loss", "train_accuracy", "val_loss", "val_accuracy"] {
                let value = Float(try #require(epoch[key] as? Double))
                let parts = key.split(separator: "_")
                // Field 1 is the tag, field 2 the number as four bytes.
                let tag = Array("\(parts[1])/\(parts[0])".utf8)
                var message = Data([0x0A, UInt8(tag.count)])
                message.append(contentsOf: tag)
                message.append(0x15)
                withUnsafeBytes(of: value.bitPattern.littleEndian) { message.append(contentsOf: $0) }
                #expect(bytes.range(of: message) != nil, "\(key) of epoch \(epoch["epoch"] ?? "")")
            }
        }
        #expect(bytes.range(of: Data("predictions/8".utf8)) != nil)
    }
}

extension Scratch {
    func text(_ name: String) throws -> String { try String(contentsOfFile: self / name, encoding: .utf8) }
}
