import Foundation
import Testing

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// The cache under several processes: killed, and at once.
@Suite struct FeatureCacheCommandTests {
    private static func arguments(_ folder: Scratch, _ run: String, _ cache: String) -> [String] {
        [
            "--model", Program.tiny, "--unfreeze", "fc", "--augment", "none", "--epochs", "2", "--json", "--output",
            folder / run, "--feature-cache", cache,
        ]
    }

    /// Losses and accuracies of a run, which must not depend on where values came from.
    private static func curve(_ json: [String: Any]) -> [Double] {
        (json["epochs"] as? [[String: Any]] ?? []).flatMap { epoch in
            ["train_loss", "train_accuracy", "val_loss", "val_accuracy"].compactMap { epoch[$0] as? Double }
        }
    }

    @Test func killedWhileWriting() throws {
        let folder = try Scratch()
        let expected = Self.curve(try Program.run(Self.arguments(folder, "expected", "off")).json())
        #expect(expected.count == 8)
        for (attempt, milliseconds) in [20, 60, 90, 120, 150, 200].enumerated() {
            let process = Program.process(Self.arguments(folder, "killed\(attempt)", folder / "cache"))
            process.standardOutput = FileHandle.nullDevice
            process.standardError = FileHandle.nullDevice
            try process.run()
            usleep(UInt32(milliseconds) * 1000)
            kill(process.processIdentifier, SIGKILL)
            process.waitUntilExit()
        }
        let again = try Program.run(Self.arguments(folder, "again", folder / "cache"))
        #expect(Self.curve(try again.json()) == expected)
        let found = try Program.run(Self.arguments(folder, "found", folder / "cache"))
        #expect(Self.curve(try found.json()) == expected)
        #expect(found.errors.contains("896 pictures found in the cache, 0 computed"), "\(found.errors)")
        let files = try FileManager.default.contentsOfDirectory(atPath: folder / "cache/features")
        #expect(!files.contains { $0.hasSuffix(".tmp") })
    }

    @Test func twoAtOnce() throws {
        let folder = try Scratch()
        let expected = Self.curve(try Program.run(Self.arguments(folder, "expected", "off")).json())
        let runs = try ["a", "b"].map { name in
            let process = Program.process(Self.arguments(folder, name, folder / "cache"))
            let pipe = Pipe()
            process.standardOutput = pipe
            process.standardError = FileHandle.nullDevice
            try process.run()
            return (process, pipe)
        }
        for (process, pipe) in runs {
            let text = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
            process.waitUntilExit()
            let result = Program.Result(status: Int(process.terminationStatus), output: text, errors: "")
            #expect(result.status == 0)
            #expect(Self.curve(try result.json()) == expected)
        }
        let found = try Program.run(Self.arguments(folder, "found", folder / "cache"))
        #expect(found.errors.contains("896 pictures found in the cache, 0 computed"), "\(found.errors)")
    }
}
