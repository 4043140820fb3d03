import Foundation
import TestSupport
import Testing

/// The program itself, run as a person runs it.
@Suite struct CommandTests {
    @Test func transfersTheBundledModelToTheBundledDigits() throws {
        let folder = try Scratch()
        let run = try Program.run([
            "--model", Program.tiny, "--unfreeze", "fc", "--lr", "0.1", "--output", folder / "run", "--json",
        ])
        #expect(run.status == 0, "\(run.errors)")
        let report = try run.json()
        #expect(report["best_val_accuracy"] as? Double ?? 0 >= 0.93)
        #expect(report["trainable_parameters"] as? Int == 325)
        #expect(report["total_parameters"] as? Int == 77_093)
        #expect((report["epochs"] as? [Any])?.count == 25)
        let output = try #require(report["output"] as? String)

        let scored = try Program.run(["evaluate", "--model", output, "--data", Program.digits, "--json"]).json()
        #expect(scored["accuracy"] as? Double == report["best_val_accuracy"] as? Double)
        let predicted = try Program.run(["predict", "--model", output, Program.aPicture, "--json"]).json()
        let first = (predicted["predictions"] as? [[String: Any]])?.first
        #expect((first?["top"] as? [Any])?.count == 5)
        let inspected = try Program.run(["inspect", output, "--json"]).json()
        let layers = try #require(inspected["layers"] as? [[String: Any]])
        #expect(layers.last?["path"] as? String == "fc")
    }

    @Test func theSameSeedGivesTheSameRun() throws {
        let folder = try Scratch()
        let arguments = ["--model", Program.tiny, "--unfreeze", "last:2", "--epochs", "2", "--output"]
        let runs = try ["a", "b"].map { try Program.run(arguments + [folder / $0, "--json"]) }
        #expect(runs.allSatisfy { $0.status == 0 })
        let models = ["a", "b"].map { FileManager.default.contents(atPath: folder / "\($0)/best.onnx") }
        #expect(models[0] != nil && models[0] == models[1])
    }

    /// A command, its exit status, and what it says.
    static let mistakes: [([String], Int, String)] = [
        (["--model", "nowhere.onnx"], 1, "no such file"),
        (["--model", "LFS"], 1, "Git LFS pointer"),
        (["--model", "TEXT"], 1, "text"),
        (["--model", "TRUNCATED"], 1, "truncated"),
        (["--model", "TINY", "--unfreeze", "fcc"], 2, "did you mean 'fc'"),
        (["--model", "TINY", "--data", "EMPTY"], 1, "is empty"),
        (["--model", "TINY", "--data", "ONECLASS"], 1, "only the class"),
        (["--model", "TINY", "--epochs", "0"], 2, "--epochs"),
        (["--model", "TINY", "--lr", "-1"], 2, "--lr"),
        (["--model", "TINY", "--schedule", "stairs"], 2, "--schedule"),
        (["--model", "TINY", "--normalize", "imagnet"], 2, "--normalize"),
        (["--modle", "TINY"], 2, "Unknown option '--modle'"),
        (["evaluate", "--modle", "TINY"], 2, "did you mean '--model'?"),
        (["evaluate"], 2, "finetune help evaluate lists the options"),
        (["evaluate", "--resume", "r", "--model", "TINY", "--data", "DIGITS"], 2, "Unknown option '--resume'"),
        (["--model", "TINY", "--epochs", "-1"], 2, "--epochs: expected 1 to"),
        (["--model", "TINY", "--epochs", "9223372036854775807"], 2, "--epochs: expected 1 to"),
        (["--model", "TINY", "--batch-size", "9223372036854775807"], 2, "--batch-size"),
        (["--model", "TINY", "--val-fraction", "1"], 2, "--val-fraction"),
        (["--model", "TINY", "--weight-decay", "inf"], 2, "--weight-decay: inf is not a finite number"),
        (["--model", "TINY", "--schedule", "step:1:inf"], 2, "is not a schedule"),
        (["--model", "TINY", "--normalize", "0.5/0"], 2, "--normalize: '0.5/0'"),
        (["--model", "TINY", "--lr", "0.1,0.01"], 2, "two rates without a layer"),
        (["--model", "TINY", "--unfreeze", "HEAD"], 2, "did you mean 'head'"),
        (["evaluate", "--model", "TINY", "--data", "DIGITS", "--batch-size", "0"], 2, "--batch-size: expected 1 to"),
        (["predict", "--model", "TINY", "TEXT", "--threads", "-3"], 2, "--threads: expected 0 to"),
        (["predict", "--model", "TINY", "PICTURE", "--resize", "9223372036854775807"], 2, "--resize: expected 1 to"),
        (["predict", "--model", "TINY", "COPY", "--output", "COPY"], 2, "is read from"),
        (["inspect", "TINY", "--image-size", "0"], 2, "--image-size: expected 1 to"),
        (["inspect", "TINY", "--plan", "--batch-size", "1000000000"], 2, "--batch-size: expected 1 to"),
        (["bench", "--model", "TINY", "--repeats", "0"], 2, "--repeats: expected 1 to"),
        (["export", "COPY", "--output", "COPY"], 2, "is read from"),
        (["lr-find", "--model", "TINY", "--output", "nowhere/plot.svg"], 1, "no such file or folder"),
        (["evaluate", "--model", "TINY", "--data", "DIGITS"], 1, "is not one of the model's"),
        (["predict", "--model", "TINY", "TEXT"], 1, "TEXT"),
    ]

    @Test(arguments: CommandTests.mistakes)
    func mistakesGiveOneLine(arguments: [String], status: Int, text: String) throws {
        let folder = try Scratch()
        let places = try folder.mistakes()
        let output = arguments[0].hasPrefix("-") ? ["--output", folder / "run"] : []
        let run = try Program.run(arguments.map { places[$0] ?? $0 } + output)
        #expect(run.status == status, "\(run.errors)")
        let expected = places[text] ?? text
        #expect(run.errors.contains(expected), "\(run.errors)")
        let own = run.errors.split(separator: "\n").filter { $0.hasPrefix("finetune: ") }
        #expect(own.count == 1, "\(run.errors)")
        #expect(!FileManager.default.fileExists(atPath: folder / "run/best.onnx"))
    }

    @Test func aRunIsNeverOverwritten() throws {
        let folder = try Scratch()
        let run = try Program.run(["--model", Program.tiny, "--output", folder.path])
        #expect(run.status == 1)
        #expect(run.errors.contains("exists already"))
    }
}

/// The built program.
enum Program {
    static let tiny = TestFiles.package.appendingPathComponent("models/resnet-tiny.onnx").path
    static let digits = TestFiles.package.appendingPathComponent("models/resnet-tiny-data").path
    static let aPicture: String = {
        let folder = digits + "/val/7/"
        return folder + ((try? FileManager.default.contentsOfDirectory(atPath: folder))?.sorted().first ?? "")
    }()

    struct Result {
        var status: Int
        var output: String
        var errors: String

        /// The object on the last line of standard output.
        func json() throws -> [String: Any] {
            let last = try #require(output.split(separator: "\n").last, "\(errors)")
            return try #require(try JSONSerialization.jsonObject(with: Data(last.utf8)) as? [String: Any])
        }
    }

    /// Caches of the program under test, away from those of the person who runs the tests.
    private static let cache = TestFiles.package.appendingPathComponent(".build/test-cache").path

    /// The program, not yet running.
    static func process(_ arguments: [String]) -> Process {
        let process = Process()
        // The test bundle lies beside the program.
        process.executableURL = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
            .appendingPathComponent("finetune")
        process.arguments = arguments
        process.environment = ProcessInfo.processInfo.environment.merging(
            ["XDG_CACHE_HOME": cache], uniquingKeysWith: { $1 })
        return process
    }

    /// Runs to the end; or, with `signal`, sends it as soon as there is a file `path`.
    static func run(_ arguments: [String], signal: Int32? = nil, after path: String = "") throws -> Result {
        let process = process(arguments)
        let (output, errors) = (Pipe(), Pipe())
        process.standardOutput = output
        process.standardError = errors
        try process.run()
        if let signal {
            while process.isRunning, !FileManager.default.fileExists(atPath: path) { usleep(1000) }
            kill(process.processIdentifier, signal)
        }
        let text = output.fileHandleForReading.readDataToEndOfFile()
        let complaints = errors.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return Result(
            status: Int(process.terminationStatus), output: String(decoding: text, as: UTF8.self),
            errors: String(decoding: complaints, as: UTF8.self))
    }
}

/// A folder that goes away with the test.
final class Scratch {
    let path: String

    init() throws {
        path = FileManager.default.temporaryDirectory.appendingPathComponent("finetune-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    static func / (folder: Scratch, name: String) -> String { folder.path + "/" + name }

    /// Files and folders that a person can get wrong, by the name that stands for each in a test's arguments.
    func mistakes() throws -> [String: String] {
        let manager = FileManager.default
        let model = try #require(manager.contents(atPath: Program.tiny))
        func write(_ data: Data, _ name: String) -> String {
            _ = manager.createFile(atPath: self / name, contents: data)
            return self / name
        }
        try manager.createDirectory(atPath: self / "empty", withIntermediateDirectories: true)
        try manager.createDirectory(atPath: self / "one/train/cat", withIntermediateDirectories: true)
        try manager.createDirectory(atPath: self / "one/val/cat", withIntermediateDirectories: true)
        for part in ["train", "val"] {
            try manager.copyItem(atPath: Program.aPicture, toPath: self / "one/\(part)/cat/a.png")
        }
        let pointer =
            "version https://git-lfs.github.com/spec/v1\noid sha256:\(String(repeating: "0", count: 64))\nsize 9\n"
        return [
            "TINY": Program.tiny, "DIGITS": Program.digits, "EMPTY": self / "empty", "ONECLASS": self / "one",
            "LFS": write(Data(pointer.utf8), "pointer.onnx"), "TEXT": write(Data("not a model\n".utf8), "text.onnx"),
            "PICTURE": Program.aPicture, "COPY": write(model, "copy.onnx"),
            "TRUNCATED": write(model.prefix(model.count / 2), "half.onnx"),
        ]
    }
}
