import Files
import Foundation
import TensorCore
import Testing

@testable import ONNX

/// Hostile and broken files: each is refused with its own error, in little time and memory.
@Suite struct WireRefusalTests {
    /// Reads `bytes` and returns the error, which must come soon.
    private func refusal(_ message: Message, limits: LoadLimits = .default) -> ONNXError? {
        let start = ContinuousClock.now
        // A second of a quiet machine; tests share theirs.
        defer { #expect(ContinuousClock.now - start < .seconds(10)) }
        return #expect(throws: ONNXError.self) { _ = try ModelFile.read(message, limits: limits) }
    }

    private func refusal(path: String) -> ONNXError? {
        #expect(throws: ONNXError.self) { _ = try ModelFile.read(path) }
    }

    // MARK: - Daily life

    @Test func whatTheFileIs() throws {
        let folder = try TemporaryFolder()
        func expect(_ name: String, _ bytes: [UInt8]?, _ kind: ONNXError.Kind, _ says: String) throws {
            if let bytes { try folder.write(bytes, to: name) }
            let error = refusal(path: folder.file(name))
            #expect(error?.kind == kind, "\(name): \(error?.description ?? "")")
            #expect(error?.description.hasPrefix(folder.file(name) + ": ") == true)
            #expect(error?.reason.contains(says) == true, "\(name): \(error?.description ?? "")")
        }
        try expect("missing.onnx", nil, .missing, "no such file")
        try expect("empty.onnx", [], .empty, "empty")
        try expect(
            "lfs.onnx", Array("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 45\n".utf8),
            .gitLFSPointer,
            "git lfs pull")
        try expect("text.onnx", Array("<!DOCTYPE html>\n<html>".utf8), .text, "<!DOCTYPE html>")
        try expect("zip.onnx", [0x50, 0x4B, 3, 4, 0, 0], .otherFormat, "ZIP archive")
        try expect(
            "random.onnx", (0..<200).map { UInt8(truncatingIfNeeded: $0 &* 73 &+ 5) | 0x80 }, .malformed, "damaged")
        try expect("other.onnx", Message { $0.int(1, 3) }.bytes, .notONNX, "no graph")
        try FileManager.default.createDirectory(atPath: folder.file("dir.onnx"), withIntermediateDirectories: true)
        try expect("dir.onnx", nil, .directory, "is a folder")
        mkfifo(folder.file("fifo.onnx"), 0o600)
        try expect("fifo.onnx", nil, .unreadable, "FIFO")
    }

    @Test(.enabled(if: geteuid() != 0)) func unreadable() throws {
        let folder = try TemporaryFolder()
        let path = try folder.write([1], to: "m.onnx")
        chmod(path, 0)
        #expect(refusal(path: path)?.kind == .unreadable)
    }

    /// Cut anywhere, a model is refused, and where a field runs into the end the error says which and where.
    @Test func truncatedAnywhere() throws {
        let whole = Message.model { graph in
            graph.text(2, "main")
            graph.node("Relu", ["x"], ["y"])
            graph.floats("t", [2], [1, 2])
            graph.valueInfo(11, "x", [1])
            graph.valueInfo(12, "y", [1])
        }
        _ = try ModelFile.read(whole)
        for length in 0..<whole.bytes.count {
            var cut = Message()
            cut.bytes = Array(whole.bytes.prefix(length))
            let error = refusal(cut)
            #expect([.empty, .truncated, .notONNX].contains(error?.kind), "\(length): \(error?.description ?? "")")
        }
        var cut = Message()
        cut.bytes = Array(whole.bytes.dropLast(5))
        let length = whole.bytes.count - 8
        #expect(
            refusal(cut)?.description
                == "model.onnx: truncated: field graph (7) at byte 6 says \(length) bytes, \(length - 5) remain")
    }

    // MARK: - Wire format made to do damage

    /// A graph inside an attribute inside a node, `depth` times.
    static func nested(_ depth: Int) -> Message {
        // From the inside out, reversed to stay linear: a length stands before what it counts.
        var reversed: [UInt8] = []
        func wrap(_ field: UInt32, _ before: Message = Message()) {
            let length = reversed.count + before.bytes.count
            reversed += before.bytes.reversed()
            var header: [UInt8] = []
            header.appendTag(field, .lengthDelimited)
            header.appendVarint(UInt64(length))
            reversed += header.reversed()
        }
        for _ in 0..<depth {
            wrap(6)
            wrap(5, Message { $0.text(1, "body") })
            wrap(1, Message { $0.text(4, "Loop") })
        }
        return .model { $0.bytes += reversed.reversed() }
    }

    @Test(arguments: [33, 2_900, 200_000])
    func deepNesting(_ depth: Int) {
        let error = refusal(WireRefusalTests.nested(depth))
        #expect(error?.kind == .tooDeep, "\(error?.description ?? "")")
        #expect(error?.reason.contains("the limit is 100") == true)
    }

    @Test func nestingWithinTheLimit() throws {
        #expect(try ModelFile.read(WireRefusalTests.nested(32)).model.graph.nodes.map(\.opType) == ["Loop"])
    }

    @Test(arguments: [UInt32(1), 5, 11, 13, 15])
    func floodsOfEmptyMessages(_ field: UInt32) {
        let flood = [[UInt8]](repeating: [UInt8(field << 3 | 2), 0], count: 300_000).joined()
        let error = refusal(.model { $0.bytes += flood })
        #expect(error?.kind == .overBudget, "\(error?.description ?? "")")
    }

    @Test func aBudgetLiftedReadsThem() throws {
        var limits = LoadLimits()
        limits.structureBytes = 1 << 30
        let flood = [[UInt8]](repeating: [13 << 3 | 2, 0], count: 200_000).joined()
        #expect(try ModelFile.read(.model { $0.bytes += flood }, limits: limits).model.graph.valueInfo.count == 200_000)
    }

    @Test func floodOfPayloadPieces() {
        // float_data and int32_data in turn, all empty.
        let flood = [[UInt8]](repeating: [4 << 3 | 2, 0, 5 << 3 | 2, 0], count: 1_000_000).joined()
        #expect(refusal(.withInitializer { $0.bytes += flood })?.kind == .overBudget)
    }

    @Test func hugeLengthsAndNumbers() {
        func broken(_ bytes: [UInt8]) -> Message { .model { $0.bytes += bytes } }
        let cases: [([UInt8], ONNXError.Kind, String)] = [
            // A length of 2^63, of 2^64 - 1, of 2^32 + 1.
            ([0x0A, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01], .truncated, "9223372036854775808"),
            ([0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01], .truncated, "18446744073709551615"),
            ([0x0A, 0x81, 0x80, 0x80, 0x80, 0x10], .truncated, "4294967297"),
            ([UInt8](repeating: 0xFF, count: 12), .malformed, "more than ten bytes"),
            ([0x0A, 0x80], .truncated, "cut off"),
            ([0x00], .malformed, "no field"),
            ([0x0B], .malformed, "a group"),
            ([0x0C], .malformed, "a group"),
            ([0x0F], .malformed, "no field"),
            ([0x08, 0x01], .malformed, "field node (1) at byte"),
            ([0x12, 0x01, 0x00], .malformed, "NUL"),
            ([0x12, 0x02, 0xC3, 0x28], .malformed, "field name (2) at byte"),
            ([0x12, 0x01, 0xFF], .malformed, "is not UTF-8"),
            ([0x12, 0x01, 0x61, 0x12, 0x01, 0x62], .malformed, "second time"),
        ]
        for (bytes, kind, says) in cases {
            let error = refusal(broken(bytes))
            #expect(error?.kind == kind, "\(bytes): \(error?.description ?? "")")
            #expect(error?.reason.contains(says) == true, "\(bytes): \(error?.description ?? "")")
        }
    }

    @Test func aFieldBeyondItsMessageIsDamage() {
        let error = refusal(
            .model { graph in
                // A node that claims 100 bytes inside a graph of few, with more file behind it.
                graph.bytes += [0x0A, 100]
            }.followedBy { $0.text(6, String(repeating: "d", count: 200)) })
        #expect(error?.kind == .malformed)
        #expect(
            error?.reason.contains("graph: field node (1) at byte 8 says 100 bytes, 0 remain") == true,
            "\(error?.description ?? "")")
    }

    @Test func fileSizeCap() throws {
        var limits = LoadLimits()
        limits.fileBytes = 10
        #expect(refusal(.model { $0.floats("t", [1], [1]) }, limits: limits)?.kind == .tooLarge)
        let folder = try TemporaryFolder()
        let path = folder.file("huge.onnx")
        // A sparse file: three gigabytes that are not on the disk.
        try folder.write([8, 8], to: "huge.onnx")
        truncate(path, 3 << 30)
        #expect(refusal(path: path)?.kind == .tooLarge)
    }

    // MARK: - Graphs that do not fit together

    private static let invalidGraphs: [(String, @Sendable (inout Message) -> Void, String)] = [
        (
            "cycle",
            {
                $0.node("Relu", ["b"], ["a"])
                $0.node("Relu", ["a"], ["b"])
            }, "depends on its own output"
        ),
        ("self loop", { $0.node("Relu", ["a"], ["a"]) }, "depends on its own output"),
        ("dangling input", { $0.node("Relu", ["nothing"], ["a"]) }, "Relu 'a': input 'nothing' is no graph input"),
        ("dangling output", { $0.valueInfo(12, "nothing", []) }, "graph output 'nothing' is not computed"),
        (
            "two producers",
            {
                $0.node("Relu", ["x"], ["a"])
                $0.node("Relu", ["x"], ["a"])
            }, "output 'a' is already defined"
        ),
        ("one node twice", { $0.node("Split", ["x"], ["a", "a"]) }, "output 'a' is already defined"),
        ("output over input", { $0.node("Relu", ["x"], ["x"]) }, "already defined"),
        (
            "output over initializer",
            {
                $0.floats("w", [1], [1])
                $0.node("Relu", ["x"], ["w"])
            }, "already defined"
        ),
        (
            "two initializers",
            {
                $0.floats("w", [1], [1])
                $0.floats("w", [1], [2])
            }, "two initializers are named 'w'"
        ),
        ("nameless initializer", { $0.floats("", [1], [1]) }, "an initializer has no name"),
        ("two inputs", { $0.valueInfo(11, "x", [1]) }, "two graph inputs are named 'x'"),
        (
            "two outputs",
            {
                $0.valueInfo(12, "x", [1])
                $0.valueInfo(12, "x", [1])
            }, "two graph outputs are named 'x'"
        ),
        ("no operator", { $0.node("", ["x"], ["a"]) }, "names no operator"),
        ("unknown domain", { $0.node("Relu", ["x"], ["a"]) { $0.text(7, "com.evil") } }, "'com.evil' is not imported"),
        (
            "attribute of another type",
            {
                $0.node("Relu", ["x"], ["a"]) { node in
                    node.message(5) {
                        $0.text(1, "axis")
                        $0.float(2, 1)
                        $0.int(20, 2)
                    }
                }
            }, "attribute 'axis' is declared INT but holds FLOAT"
        ),
        (
            "attribute without value",
            {
                $0.node("Relu", ["x"], ["a"]) { node in
                    node.message(5) {
                        $0.text(1, "axis")
                        $0.int(20, 2)
                    }
                }
            }, "attribute 'axis' is INT but has no value"
        ),
        (
            "attribute with two values",
            {
                $0.node("Relu", ["x"], ["a"]) { node in
                    node.message(5) {
                        $0.text(1, "axis")
                        $0.int(3, 2)
                        $0.float(2, 1)
                        $0.int(20, 2)
                    }
                }
            }, "is declared INT but holds FLOAT"
        ),
        (
            "attribute twice",
            {
                $0.node("Relu", ["x"], ["a"]) { node in
                    for _ in 0..<2 {
                        node.message(5) {
                            $0.text(1, "axis")
                            $0.int(3, 2)
                            $0.int(20, 2)
                        }
                    }
                }
            }, "attribute 'axis' is given twice"
        ),
        (
            "dangling in a subgraph",
            {
                $0.node("If", ["x"], ["a"]) { node in
                    node.message(5) {
                        $0.text(1, "then_branch")
                        $0.message(6) { $0.node("Relu", ["nowhere"], ["inner"]) }
                        $0.int(20, 5)
                    }
                }
            }, "If 'a': graph 'then_branch': Relu 'inner': input 'nowhere'"
        ),
        (
            "cycle through a subgraph",
            {
                $0.node("If", ["x"], ["a"]) { node in
                    node.message(5) {
                        $0.text(1, "then_branch")
                        $0.message(6) { $0.node("Relu", ["a"], ["inner"]) }
                        $0.int(20, 5)
                    }
                }
            }, "If 'a' depends on its own output"
        ),
    ]

    @Test(arguments: invalidGraphs.indices)
    func graphsThatDoNotFit(_ index: Int) {
        let (name, build, says) = WireRefusalTests.invalidGraphs[index]
        let error = refusal(
            .model {
                $0.valueInfo(11, "x", [1])
                build(&$0)
            })
        #expect(error?.kind == .invalidModel, "\(name): \(error?.description ?? "")")
        #expect(error?.reason.contains(says) == true, "\(name): \(error?.description ?? "")")
    }

    @Test func opsets() {
        #expect(refusal(.model(opset: nil) { _ in })?.reason.contains("opset_import") == true)
        #expect(refusal(.model(opset: 0) { _ in })?.reason.contains("version 0") == true)
        #expect(refusal(.model(opset: -1) { _ in })?.kind == .invalidModel)
        let twice = Message.model { _ in }.followedBy { $0.message(8) { $0.int(2, 12) } }
        #expect(refusal(twice)?.reason.contains("twice") == true)
    }

    /// Many nodes with graphs of their own inside a large graph: checking them must not be quadratic.
    @Test func manySubgraphsInALargeGraph() throws {
        let message = Message.model { graph in
            graph.valueInfo(11, "x", [1])
            for index in 0..<10_000 {
                graph.node("If", ["x"], ["y\(index)"]) { node in
                    node.message(5) {
                        $0.text(1, "then_branch")
                        $0.message(6) { $0.node("Relu", ["x"], ["inner"]) }
                        $0.int(20, 5)
                    }
                }
            }
        }
        let start = ContinuousClock.now
        _ = try ModelFile.read(message)
        #expect(ContinuousClock.now - start < .seconds(1))
    }
}

extension Message {
    /// The same message with more fields behind it.
    func followedBy(_ build: (inout Message) -> Void) -> Message {
        var copy = self
        build(&copy)
        return copy
    }
}
