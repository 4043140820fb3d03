import Foundation
import Safetensors
import TensorCore
import TestSupport
import Testing

/// Hostile files given to the program as a person would: one line that names the file and the reason, exit status 1,
/// nothing written, within 200 MB.
@Suite struct AttackTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    struct Attack: CustomTestStringConvertible, Sendable {
        var testDescription: String
        var says: String
        /// What `finetune` is given, with `FILE`, `INPUT` and `OUT` in place of paths.
        var command = ["inspect", "FILE"]
        var make: @Sendable (TemporaryFolder) throws -> String

        init(
            _ name: String, _ says: String, command: [String] = ["inspect", "FILE"],
            _ make: @escaping @Sendable (TemporaryFolder) throws -> String
        ) {
            (testDescription, self.says, self.command, self.make) = (name, says, command, make)
        }
    }

    @Test(arguments: externalData + wire + graphs + files + pictures)
    func isRefused(_ attack: Attack) throws {
        let path = try attack.make(folder)
        let output = folder.file("written/out")
        try FileManager.default.createDirectory(atPath: folder.file("written"), withIntermediateDirectories: true)
        try Safetensors.write(["x": NDArray.ones([1, 4])], to: folder.file("x.safetensors"))
        let before = try everything()
        let (status, lines) = try run(
            attack.command.map { ["FILE": path, "OUT": output, "INPUT": folder.file("x.safetensors")][$0] ?? $0 })
        #expect(status == 1, "\(lines)")
        #expect(lines.count == 1, "\(lines)")
        let line = lines.last ?? ""
        #expect(line.contains(URL(fileURLWithPath: path).lastPathComponent), "\(line)")
        #expect(line.contains(attack.says), "\(line)")
        #expect(try everything() == before, "something was written")
    }

    private func everything() throws -> [String] {
        try FileManager.default.subpathsOfDirectory(atPath: folder.path).sorted()
    }

    /// The built program with at most 200 MB of writable memory; its exit status and the lines of its complaint.
    private func run(_ arguments: [String]) throws -> (status: Int, lines: [String]) {
        let process = Process()
        // The test bundle lies beside the program.
        let program = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
            .appendingPathComponent("finetune")
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        process.arguments = ["-c", #"ulimit -d 204800; exec "$0" "$@""#, program.path] + arguments
        let errors = Pipe()
        process.standardError = errors
        process.standardOutput = FileHandle.nullDevice
        try process.run()
        let text = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        return (Int(process.terminationStatus), text.split(separator: "\n").map(String.init))
    }

    // MARK: - External data

    /// A model whose tensor `t` of two floats is where `entries` say.
    private static func external(
        _ name: String, _ says: String, _ entries: [(String, String)],
        _ prepare: @escaping @Sendable (TemporaryFolder) throws -> Void = { _ in }
    ) -> Attack {
        Attack(name, says, command: ["export", "FILE", "--format", "safetensors", "--output", "OUT"]) { folder in
            try folder.write(littleEndian([Float(1), 2, 3, 4]), to: "models/w.bin")
            try folder.write(littleEndian([Float(9), 9]), to: "secret")
            try prepare(folder)
            let message = Message.withInitializer {
                $0.int(1, 2)
                $0.int(2, 1)
                $0.external(entries)
            }
            return try folder.write(message.bytes, to: "models/evil.onnx")
        }
    }

    private static let externalData: [Attack] = [
        external("path with ..", "leads out of the folder", [("location", "../secret")]),
        external("absolute path", "absolute path", [("location", "/etc/hostname")]),
        external("device", "absolute path", [("location", "/dev/zero")]),
        external("symbolic link", "symbolic link", [("location", "link")]) {
            try FileManager.default.createSymbolicLink(
                atPath: $0.file("models/link"), withDestinationPath: "../secret")
        },
        external("linked folder", "symbolic link", [("location", "up/secret")]) {
            try FileManager.default.createSymbolicLink(atPath: $0.file("models/up"), withDestinationPath: "..")
        },
        external("hard link", "hard links", [("location", "hard")]) {
            try FileManager.default.linkItem(atPath: $0.file("secret"), toPath: $0.file("models/hard"))
        },
        external("FIFO", "FIFO", [("location", "fifo")]) { mkfifo($0.file("models/fifo"), 0o600) },
        external("offset overflow", "do not lie within", [("location", "w.bin"), ("offset", "9223372036854775807")]),
        external(
            "offset and length overflow", "do not lie within",
            [
                ("location", "w.bin"), ("offset", "9223372036854775800"), ("length", "8"),
            ]),
        external("length beyond the file", "do not lie within", [("location", "w.bin"), ("offset", "12")]),
        external("negative length", "no byte count", [("location", "w.bin"), ("length", "-8")]),
        Attack(
            "written outside of its folder", "leads out of the folder",
            command: ["export", "FILE", "--format", "onnx", "--output", "OUT"]
        ) { folder in
            try folder.write(littleEndian([Float(1)]), to: "secret")
            let message = Message.withInitializer {
                $0.int(1, 1)
                $0.int(2, 1)
                $0.external([("location", "../secret")])
            }
            return try folder.write(message.bytes, to: "models/evil.onnx")
        },
    ]

    // MARK: - Wire format and tensors

    private static func model(_ name: String, _ says: String, _ message: @autoclosure @escaping @Sendable () -> Message)
        -> Attack
    {
        Attack(name, says) { try $0.write(message().bytes, to: "evil.onnx") }
    }

    private static func tensor(_ name: String, _ says: String, _ build: @escaping @Sendable (inout Message) -> Void)
        -> Attack
    {
        Attack(name, says, command: ["export", "FILE", "--format", "safetensors", "--output", "OUT"]) {
            try $0.write(Message.withInitializer(build).bytes, to: "evil.onnx")
        }
    }

    private static let wire: [Attack] = [
        model("2,900 nested graphs", "nested", WireRefusalTests.nested(2_900)),
        model(
            "a million empty messages", "limit of",
            .model { $0.bytes += [[UInt8]](repeating: [1 << 3 | 2, 0], count: 1_000_000).joined() }),
        model(
            "a length of 2^63", "9223372036854775808",
            .model {
                $0.bytes += [0x0A, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01]
            }),
        Attack("beyond 2 GiB", "limit") {
            let path = try $0.write([8, 8], to: "evil.onnx")
            truncate(path, 5 << 30)
            return path
        },
        tensor("negative dims", "negative") {
            $0.int(1, -1)
            $0.int(2, 1)
            $0.data(9, [0, 0, 0, 0])
        },
        tensor("overflowing dims", "too large") {
            $0.int(1, 1 << 32)
            $0.int(1, 1 << 32)
            $0.int(2, 1)
        },
        tensor("dims that do not fit the bytes", "need 4000000000000") {
            $0.int(1, 1_000_000_000_000)
            $0.int(2, 1)
            $0.data(9, [0, 0, 0, 0])
        },
        tensor("two storage forms", "float_data and raw_data") {
            $0.int(1, 1)
            $0.int(2, 1)
            $0.data(9, [0, 0, 0, 0])
            $0.float(4, 1)
        },
    ]

    // MARK: - Graphs

    /// A graph from x to y, run on a picture.
    private static func graph(
        _ name: String, _ says: String, opset: Int64? = 17, _ build: @escaping @Sendable (inout Message) -> Void
    ) -> Attack {
        Attack(name, says, command: ["run", "FILE", "--inputs", "INPUT", "--outputs", "OUT"]) {
            let message = Message.model(opset: opset) { graph in
                graph.valueInfo(11, "x", [1, 4])
                build(&graph)
                graph.valueInfo(12, "y", [1, 4])
            }
            return try $0.write(message.bytes, to: "evil.onnx")
        }
    }

    private static let graphs: [Attack] = [
        graph("cycle", "depends on its own output") {
            $0.node("Add", ["x", "y"], ["h"])
            $0.node("Relu", ["h"], ["y"])
        },
        graph("duplicate name", "already defined") {
            $0.node("Relu", ["x"], ["y"])
            $0.node("Relu", ["x"], ["y"])
        },
        graph("dangling input", "input 'nowhere'") { $0.node("Relu", ["nowhere"], ["y"]) },
        graph("wrong attribute type", "attribute 'axis' has type STRING, expected INT") {
            $0.node("Softmax", ["x"], ["y"]) { node in
                node.message(5) {
                    $0.text(1, "axis")
                    $0.text(4, "1")
                    $0.int(20, 3)
                }
            }
        },
        graph("wrong rank", "Conv 'y'") {
            $0.floats("w", [4, 4], [Float](repeating: 1, count: 16))
            $0.node("Conv", ["x", "w"], ["y"])
        },
        graph("no operator set", "opset_import", opset: nil) { $0.node("Relu", ["x"], ["y"]) },
        graph("operator before its time", "from version 20", opset: 13) { $0.node("Gelu", ["x"], ["y"]) },
        graph("subgraph", "not supported: If") {
            $0.node("If", ["x"], ["y"]) { node in
                node.message(5) {
                    $0.text(1, "then_branch")
                    $0.message(6) { $0.node("Relu", ["x"], ["inner"]) }
                    $0.int(20, 5)
                }
            }
        },
        graph("an output of a terabyte", "a quarter of the memory") {
            $0.message(5) { tensor in
                tensor.int(1, 2)
                tensor.int(2, 7)
                tensor.text(8, "shape")
                tensor.data(9, littleEndian([Int64(1 << 19), 1 << 19]))
            }
            $0.node("ConstantOfShape", ["shape"], ["h"])
            $0.node("Add", ["h", "x"], ["y"])
        },
    ]

    // MARK: - Files of daily life

    private static func file(_ name: String, _ says: String, _ bytes: [UInt8]) -> Attack {
        Attack(name, says) { try $0.write(bytes, to: "evil.onnx") }
    }

    private static let files: [Attack] = [
        file("empty file", "empty", []),
        file("text file", "text", Array("Not a model.\n".utf8)),
        file("Git-LFS pointer", "Git LFS pointer", Array("version https://git-lfs.github.com/spec/v1\n".utf8)),
        file("truncated file", "truncated", Message.model { $0.floats("t", [4], [1, 2, 3, 4]) }.bytes.dropLast(4)),
        Attack("no such file", "no such file") { $0.file("evil.onnx") },
        Attack("folder", "is a folder") {
            try FileManager.default.createDirectory(atPath: $0.file("evil.onnx"), withIntermediateDirectories: true)
            return $0.file("evil.onnx")
        },
        Attack("FIFO for a model", "FIFO") {
            mkfifo($0.file("evil.onnx"), 0o600)
            return $0.file("evil.onnx")
        },
    ]

    // MARK: - Pictures

    private static func picture(
        _ name: String, _ says: String, of fixture: String, _ change: @escaping @Sendable (inout [UInt8]) -> Void
    ) -> Attack {
        let model = TestFiles.package.appendingPathComponent("models/resnet-tiny.onnx").path
        return Attack(name, says, command: ["predict", "--quiet", "--model", model, "FILE"]) {
            let source = TestFiles.fixtures.appendingPathComponent("pictures/\(fixture)")
            var bytes = [UInt8](try Data(contentsOf: source))
            change(&bytes)
            return try $0.write(bytes, to: "evil-\(fixture)")
        }
    }

    private static let pictures: [Attack] = [
        picture("a PNG of 2^62 pixels", "picture refused", of: "rgb8.png") {
            $0.replaceSubrange(16..<24, with: [0x7F, 0xFF, 0xFF, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF])
            let checksum = crc32($0[12..<29])
            $0.replaceSubrange(29..<33, with: (0..<4).map { UInt8(truncatingIfNeeded: checksum >> (24 - 8 * $0)) })
        },
        picture("a JPEG of 65500 x 65500 pixels", "picture refused", of: "progressive.jpg") { bytes in
            let frame = bytes.indices.dropLast().first { bytes[$0] == 0xFF && bytes[$0 + 1] == 0xC2 } ?? 0
            bytes.replaceSubrange(frame + 5..<frame + 9, with: [0xFF, 0xDC, 0xFF, 0xDC])
        },
        picture("a truncated JPEG", "truncated picture", of: "420.jpg") { $0.removeLast(400) },
        picture("a damaged PNG", "corrupt picture", of: "rgb8.png") { $0[60] ^= 0xFF },
        picture("a GIF that claims to be a PNG", "truncated picture", of: "rgb8.png") {
            $0 = Array("GIF89a......".utf8)
        },
    ]

    /// The checksum of a PNG's chunks.
    private static func crc32(_ bytes: ArraySlice<UInt8>) -> UInt32 {
        var crc = UInt32.max
        for byte in bytes {
            crc ^= UInt32(byte)
            for _ in 0..<8 { crc = crc & 1 == 0 ? crc >> 1 : (crc >> 1) ^ 0xEDB8_8320 }
        }
        return ~crc
    }
}
