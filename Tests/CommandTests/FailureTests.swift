import FineTune
import Foundation
import TestSupport
import Testing

/// What is left, and what is said, when something goes wrong; and what the plain commands report.
@Suite struct FailureTests {
    @Test func resultsThatCannotBeWrittenAreAFailure() throws {
        let process = Program.process(["inspect", Program.tiny])
        let errors = Pipe()
        process.standardOutput = FileHandle(forWritingAtPath: "/dev/full")
        process.standardError = errors
        try process.run()
        let text = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        #expect(process.terminationStatus == 1)
        #expect(text == "finetune: standard output: no space left on the device\n")
    }

    @Test func aPictureThatCannotBeReadLeavesNoFolder() throws {
        let folder = try Scratch()
        let run = try Program.run([
            "--model", Program.tiny, "--data", try folder.flawedPictures(), "--epochs", "1", "--output", folder / "run",
        ])
        #expect(run.status == 1 && run.errors.contains("--skip-bad-pictures leaves"), "\(run.errors)")
        #expect(!run.errors.contains("Go on with"), "\(run.errors)")
        #expect(!FileManager.default.fileExists(atPath: folder / "run"))

        let sweep = try Program.run([
            "sweep", "--model", Program.tiny, "--data", folder / "nowhere", "--output", folder / "sweep",
        ])
        #expect(sweep.status == 1)
        #expect(!FileManager.default.fileExists(atPath: folder / "sweep"))
    }

    @Test func placesThatCannotBeWrittenAreNamedInOneLine() throws {
        let model = ["--model", Program.tiny, "--unfreeze", "fc", "--epochs", "1"]
        for (output, says) in [
            ("/dev/null/x", "a file is where a folder is expected"), ("", "expected the name of a folder"),
        ] {
            let run = try Program.run(model + ["--output", output])
            #expect(run.status != 0 && run.errors.contains(says), "\(run.errors)")
            #expect(!run.errors.contains("Domain"), "\(run.errors)")
        }
        let folder = try Scratch()
        try "{\"format\": \"finetune.run/1\"}".write(toFile: folder / "run.json", atomically: true, encoding: .utf8)
        let broken = try Program.run(["--resume", folder.path])
        #expect(broken.status == 1 && broken.errors.contains("run.json: cannot be read: '"), "\(broken.errors)")
        #expect(broken.errors.contains("' is missing"), "\(broken.errors)")
    }

    @Test func helpLeadsToTheOptionsOfTraining() throws {
        let help = try Program.run(["--help"])
        #expect(help.status == 0 && help.output.contains("finetune help train"), "\(help.output)")
        #expect(help.output.contains("--version"), "\(help.output)")
        let train = try Program.run(["help", "train"])
        #expect(train.status == 0 && train.output.contains("--unfreeze-at"), "\(train.output)")
    }

    @Test func everyCommandPrintsJSON() throws {
        let folder = try Scratch()
        let weights = folder / "w.safetensors"
        let exported = try Program.run([
            "export", Program.tiny, "--format", "safetensors", "--output", weights, "--json",
        ]).json()
        #expect(exported["output"] as? String == weights && exported["format"] as? String == "safetensors")
        let count = try #require(exported["tensors"] as? Int)
        #expect(count > 0)
        let applied = try Program.run(["apply", Program.tiny, weights, "--output", folder / "m.onnx", "--json"]).json()
        #expect(applied["output"] as? String == folder / "m.onnx" && applied["tensors"] as? Int == count)
        try Safetensors.write(["pictures": NDArray.zeros([2, 1, 32, 32])], to: folder / "in.safetensors")
        let computed = try Program.run([
            "run", Program.tiny, "--inputs", folder / "in.safetensors", "--outputs", folder / "out.safetensors",
            "--json", "--quiet",
        ])
        #expect(computed.output.split(separator: "\n").count == 1, "\(computed.output)")
        let tensors = try #require(try computed.json()["tensors"] as? [[String: Any]])
        #expect(tensors.map { $0["shape"] as? [Int] } == [[2, 5]])
        let operators = try Program.run(["ops", "--markdown", "--json"]).json()
        #expect((operators["operators"] as? [Any])?.isEmpty == false)
    }
}
