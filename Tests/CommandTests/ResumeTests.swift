import Foundation
import TestSupport
import Testing

/// Stopping, going on, and where options come from.
@Suite struct ResumeTests {
    static let options = ["--model", Program.tiny, "--unfreeze", "last:2", "--augment", "tutorial", "--epochs", "2"]

    @Test(arguments: [(SIGINT, 130), (SIGTERM, 143)]) func signalsStopWithACheckpoint(signal: Int32, status: Int) throws
    {
        let folder = try Scratch()
        #expect(try Program.run(ResumeTests.options + ["--output", folder / "whole"]).status == 0)
        let stopped = try Program.run(
            ResumeTests.options + ["--checkpoint-every", "0", "--output", folder / "run"], signal: signal,
            after: folder / "run/previous.checkpoint")
        #expect(stopped.status == status, "\(stopped.errors)")
        #expect(stopped.errors.contains("stopped in epoch"))
        #expect(stopped.errors.contains("Go on with: finetune --resume \(folder / "run")"))
        #expect(try Program.run(["--resume", folder / "run", "--quiet"]).status == 0)
        let results = try ["whole", "run"].map { name in
            let history = try String(contentsOfFile: folder / "\(name)/history.csv", encoding: .utf8)
            return history.split(separator: "\n").map { $0.split(separator: ",").dropLast().joined(separator: ",") }
        }
        #expect(results[0].count == 3)
        #expect(results[0] == results[1])
        let models = ["whole", "run"].map { FileManager.default.contents(atPath: folder / "\($0)/best.onnx") }
        #expect(models[0] != nil && models[0] == models[1])
    }

    @Test func aConfigFileGivesOptionsThatTheCommandLineOverrides() throws {
        let folder = try Scratch()
        try """
        model: \(Program.tiny)
        unfreeze: [fc, layer3]
        lr: {fc: 0.01, layer3: 0.002}   # one rate each
        epochs: 7
        batch-size: 64
        skip-bad-pictures: True
        """.write(toFile: folder / "c.yaml", atomically: true, encoding: .utf8)
        let first = try Program.run(["--config", folder / "c.yaml", "--epochs", "1", "--output", folder / "a"])
        #expect(first.status == 0, "\(first.errors)")
        let settings = try Program.settings(folder / "a")
        #expect(settings["unfreeze"] as? [String] == ["fc", "layer3"])
        #expect(settings["lr"] as? String == "fc=0.01,layer3=0.002")
        #expect(settings["epochs"] as? Int == 1)
        #expect(settings["batch-size"] as? Int == 64)
        #expect(settings["skip-bad-pictures"] as? Bool == true)

        let again = try Program.run(["train", "--config", folder / "a/run.json", "--output", folder / "b"])
        #expect(again.status == 0, "\(again.errors)")
        let repeated = try [settings, Program.settings(folder / "b")].map {
            try JSONSerialization.data(withJSONObject: $0, options: .sortedKeys)
        }
        #expect(repeated[0] == repeated[1])
        let models = ["a", "b"].map { FileManager.default.contents(atPath: folder / "\($0)/best.onnx") }
        #expect(models[0] != nil && models[0] == models[1])
    }

    @Test func theRecordedCommandRepeatsTheRun() throws {
        let folder = try Scratch()
        #expect(try Program.run(ResumeTests.options + ["--lr", "0.01", "--output", folder / "a"]).status == 0)
        let text = try #require(FileManager.default.contents(atPath: folder / "a/run.json"))
        let record = try #require(try JSONSerialization.jsonObject(with: text) as? [String: Any])
        let command = try #require(record["command"] as? String)
        let words = command.split(separator: " ").dropFirst().map(String.init)
        #expect(try Program.run(words + ["--output", folder / "b"]).status == 0)
        let models = ["a", "b"].map { FileManager.default.contents(atPath: folder / "\($0)/best.onnx") }
        #expect(models[0] != nil && models[0] == models[1])
    }

    @Test(arguments: [
        (["--config", "epoch: 3"], "did you mean 'epochs'"),
        (["--config", "- 3"], "expected lines such as"),
        (["--config", "lr: [[1]]"], "'lr' needs a value"),
        (["--config", "a: b: c"], "line 1, column"),
        (["--config", "resume: x"], "on the command line only"),
        (["--config", "keep-head: maybe"], "'keep-head' is a flag"),
        (["--config", "augment: true"], "c.yaml: "),
        (["--config", "model: m\nlr: [0.1, 0.01]"], "c.yaml: --lr: '0.1,0.01' has two rates"),
        (["--config", "epochs: 1", "--config", "other"], "given 2 times"),
        (["--resume", "RUN", "--lr", "0.1"], "leave --lr away"),
        (["--resume", "EMPTY"], "holds no run.json"),
        (["--model", "TINY", "--optimizer", "adma"], "did you mean 'adam'"),
        (["--model", "TINY", "--schedule", "cosin"], "did you mean 'cosine'"),
        (["--model", "TINY", "--normalize", "imagnet"], "did you mean 'imagenet'"),
        (["--model", "TINY", "--lr", "fcc=0.1"], "did you mean 'fc'"),
        (["--model", "TINY", "--lr", "conv1=0.1"], "frozen parameters only"),
        (["--model", "TINY", "--unfreeze-at", "1:fc"], "--unfreeze is for the first epoch"),
        (["--model", "TINY", "--unfreeze-at", "2:fc"], "trainable already"),
        (["--model", "TINY", "--patience", "0"], "--patience"),
        (["--model", "TINY", "--epoch", "3"], "'--epochs'"),
        (["evalute", "--model", "TINY"], "did you mean 'evaluate'"),
        ([], "--model"),
    ])
    func mistakesAreNamed(arguments: [String], text: String) throws {
        let folder = try Scratch()
        try FileManager.default.createDirectory(atPath: folder / "empty", withIntermediateDirectories: true)
        var words = arguments.map {
            ["TINY": Program.tiny, "RUN": folder / "none", "EMPTY": folder / "empty"][$0] ?? $0
        }
        if words.first == "--config" {
            try words[1].write(toFile: folder / "c.yaml", atomically: true, encoding: .utf8)
            words[1] = folder / "c.yaml"
        }
        let run = try Program.run(words)
        #expect(run.status != 0)
        #expect(run.errors.contains(text), "\(run.errors)")
        #expect(run.errors.split(separator: "\n").count == 1, "\(run.errors)")
        #expect(run.output.isEmpty)
    }

    @Test func aDryRunWritesNothing() throws {
        let folder = try Scratch()
        let run = try Program.run(ResumeTests.options + ["--output", folder / "run", "--dry-run", "--json"])
        #expect(run.status == 0, "\(run.errors)")
        let plan = try run.json()
        #expect(plan["steps_per_epoch"] as? Int == 180)
        #expect(plan["total_seconds"] as? Double ?? 0 > 0)
        #expect(plan["memory_mb"] as? Double ?? 0 > 1)
        #expect(!FileManager.default.fileExists(atPath: folder / "run"))
    }

    @Test func aLossThatIsNoNumberNamesItsPlaceAndKeepsTheBest() throws {
        let folder = try Scratch()
        let run = try Program.run([
            "--model", Program.tiny, "--unfreeze", "last:2", "--lr", "1e30", "--schedule", "warmup:2+constant",
            "--output",
            folder / "run",
        ])
        #expect(run.status == 1)
        #expect(run.errors.contains("epoch 1") && run.errors.contains("first in"), "\(run.errors)")
        #expect(run.errors.contains("--clip-norm 1"))
    }
}

extension Program {
    /// The settings in a run's `run.json`.
    static func settings(_ folder: String) throws -> [String: Any] {
        let text = try #require(FileManager.default.contents(atPath: folder + "/run.json"))
        let record = try #require(try JSONSerialization.jsonObject(with: text) as? [String: Any])
        return try #require(record["settings"] as? [String: Any])
    }
}
