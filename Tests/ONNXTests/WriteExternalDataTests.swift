import Files
import Foundation
import TensorCore
import Testing

@testable import ONNX

@Suite struct WriteExternalDataTests {
    private let folder: TemporaryFolder
    private let file: ModelFile

    /// Two tensors of two floats in `w.bin`, the second with a checksum, and one in the model.
    init() throws {
        folder = try TemporaryFolder()
        try folder.write(littleEndian([Float(1), 2, 3, 4]), to: "in/w.bin")
        let message = Message.model { graph in
            for (name, offset) in [("a", "0"), ("b", "8")] {
                graph.message(5) {
                    $0.int(1, 2)
                    $0.int(2, 1)
                    $0.text(8, name)
                    $0.external([("location", "w.bin"), ("offset", offset), ("length", "8"), ("checksum", "0")])
                }
            }
            graph.floats("c", [2], [5, 6])
            graph.node("Sum", ["a", "b", "c"], ["y"])
            graph.valueInfo(12, "y", [2])
        }
        let path = try folder.write(message.bytes, to: "in/m.onnx")
        file = try ModelFile.read(path)
        try FileManager.default.createDirectory(atPath: folder.file("out"), withIntermediateDirectories: true)
    }

    private var out: String { folder.file("out/m.onnx") }
    private let edits = ModelEdits(tensors: ["b": NDArray([Float(9), 9])])

    private func values(_ path: String) throws -> [[Double]] {
        try ModelFile.read(path).model.graph.initializers.map { try $0.array().doubles() }
    }

    @Test func unchangedDataIsCopied() throws {
        try file.write(to: out)
        #expect(try folder.read("out/m.onnx") == folder.read("in/m.onnx"))
        #expect(try folder.read("out/w.bin") == folder.read("in/w.bin"))
        try file.write(to: out)
        try file.write(to: folder.file("in/again.onnx"))
        #expect(try values(folder.file("in/again.onnx")) == [[1, 2], [3, 4], [5, 6]])
    }

    @Test func anotherModelsDataIsNotOverwritten() throws {
        try folder.write([1, 2, 3], to: "out/w.bin")
        let error = #expect(throws: ONNXError.self) { try file.write(to: out) }
        #expect(error?.reason.contains("other content") == true)
        #expect(try folder.read("out/w.bin") == [1, 2, 3])
        #expect(!FileManager.default.fileExists(atPath: out))
    }

    @Test func changedDataGetsAFileOfItsOwn() throws {
        for value in [9, 8, 7] as [Float] {
            try file.write(to: out, edits: ModelEdits(tensors: ["b": NDArray([value, value])]))
            #expect(try values(out) == [[1, 2], [Double(value), Double(value)], [5, 6]])
        }
        let tensors = try ModelFile.read(out).model.graph.initializers
        #expect(tensors.map { $0.externalData["location"] } == ["m.onnx.data", "m.onnx.data", nil])
        #expect(tensors[1].externalData["checksum"] == nil)
        #expect(
            try FileManager.default.contentsOfDirectory(atPath: folder.file("out")).sorted() == [
                "m.onnx", "m.onnx.data",
            ])
        #expect(try folder.read("in/w.bin") == littleEndian([Float(1), 2, 3, 4]))
    }

    /// The model is what names its data: until it is replaced, both stay; what another one wrote stays for ever.
    @Test func dataOfAnotherModelIsLeftAlone() throws {
        try folder.write([1, 2, 3], to: "out/m.onnx.data")
        for _ in 0..<2 { try file.write(to: out, edits: edits) }
        #expect(try folder.read("out/m.onnx.data") == [1, 2, 3])
        #expect(
            try FileManager.default.contentsOfDirectory(atPath: folder.file("out")).sorted() == [
                "m.onnx", "m.onnx.3.data", "m.onnx.data",
            ])
        #expect(try values(out) == [[1, 2], [9, 9], [5, 6]])
    }

    /// A copy of a model file names the same data as the first, which may not go when the first is replaced.
    @Test func dataThatACopyReadsIsNotRemoved() throws {
        for _ in 0..<2 { try file.write(to: out, edits: edits) }
        let copy = folder.file("out/copy.onnx")
        try FileManager.default.copyItem(atPath: out, toPath: copy)
        let error = #expect(throws: ONNXError.self) {
            try ModelFile.read(copy).write(to: out, edits: ModelEdits(tensors: ["b": NDArray([Float(5), 5])]))
        }
        #expect(error?.reason.contains("holds tensors of") == true, "\(String(describing: error))")
        #expect(try values(copy) == [[1, 2], [9, 9], [5, 6]])
    }

    @Test func whatNoReaderWouldTakeIsNotWritten() throws {
        var limits = LoadLimits.default
        limits.fileBytes = Int(file.bytes.count) + 8
        let small = try ModelFile.read(file.path, limits: limits)
        let error = #expect(throws: ONNXError.self) {
            try small.write(to: out, edits: ModelEdits(metadata: ["key": String(repeating: "v", count: 1000)]))
        }
        #expect(error?.reason.contains("more than the limit") == true)
        #expect(!FileManager.default.fileExists(atPath: out))
    }

    @Test func embedding() throws {
        try file.write(to: out, edits: edits, externalData: .embed)
        #expect(try values(out) == [[1, 2], [9, 9], [5, 6]])
        let tensors = try ModelFile.read(out).model.graph.initializers
        #expect(tensors.map(\.storageName) == ["raw_data", "raw_data", "raw_data"])
        #expect(tensors.allSatisfy { $0.externalData.isEmpty })
    }

    @Test func movingOut() throws {
        try file.write(to: out, edits: edits, externalData: .external(minimumBytes: 8))
        #expect(try values(out) == [[1, 2], [9, 9], [5, 6]])
        #expect(try ModelFile.read(out).model.graph.initializers.map(\.isExternal) == [true, true, true])
    }

    @Test func itsOwnDataIsNotWrittenOver() throws {
        let error = #expect(throws: ONNXError.self) {
            try file.write(to: folder.file("in/w.bin"), externalData: .embed)
        }
        #expect(error?.reason.contains("holds tensors of") == true)
        #expect(try folder.read("in/w.bin") == littleEndian([Float(1), 2, 3, 4]))
    }

    /// Neither data by weights in another format, nor a model by the data of its copy.
    @Test func whatIsReadIsNotWrittenOver() throws {
        #expect(throws: ONNXError.self) { try file.writeSafetensors(to: folder.file("in/w.bin")) }
        let path = try folder.write(file.bytes.withUnsafeBytes { Array($0) }, to: "in/short.data")
        let error = #expect(throws: ONNXError.self) {
            try ModelFile.read(path).write(to: folder.file("in/short"), edits: edits)
        }
        #expect(error?.file == path && error?.reason.contains("is the model that was read") == true)
        #expect(try values(path) == [[1, 2], [3, 4], [5, 6]])
    }

    /// CVE-2025-51480: a location in the file must not decide where something is written.
    @Test(arguments: ["../stolen.bin", "link/stolen.bin"])
    func locationsDoNotLeaveTheFolder(_ location: String) throws {
        let manager = FileManager.default
        try folder.write(littleEndian([Float(1), 2]), to: "stolen.bin")
        try manager.createDirectory(atPath: folder.file("in/link"), withIntermediateDirectories: true)
        try folder.write(littleEndian([Float(1), 2]), to: "in/link/stolen.bin")
        try manager.createDirectory(atPath: folder.file("victim"), withIntermediateDirectories: true)
        try manager.createSymbolicLink(atPath: folder.file("out/link"), withDestinationPath: folder.file("victim"))
        let message = Message.withInitializer {
            $0.int(1, 2)
            $0.int(2, 1)
            $0.external([("location", location)])
        }
        var limits = LoadLimits()
        limits.externalData = .anywhere
        let hostile = try ModelFile.read(folder.write(message.bytes, to: "in/hostile.onnx"), limits: limits)
        try manager.createDirectory(atPath: folder.file("out/deep"), withIntermediateDirectories: true)
        let target = location.hasPrefix("..") ? "out/deep/m.onnx" : "out/m.onnx"
        let error = #expect(throws: ONNXError.self) { try hostile.write(to: folder.file(target)) }
        #expect(error?.reason.contains("embed it instead") == true, "\(error?.description ?? "")")
        #expect(!manager.fileExists(atPath: folder.file("out/stolen.bin")))
        #expect(try manager.contentsOfDirectory(atPath: folder.file("victim")).isEmpty)
        try hostile.write(to: folder.file(target), externalData: .embed)
        #expect(try values(folder.file(target)) == [[1, 2]])
    }

    @Test func subfoldersAreKept() throws {
        try folder.write(littleEndian([Float(1), 2]), to: "in/deep/down/w.bin")
        let message = Message.withInitializer {
            $0.int(1, 2)
            $0.int(2, 1)
            $0.external([("location", "deep/down/w.bin")])
        }
        let nested = try ModelFile.read(folder.write(message.bytes, to: "in/nested.onnx"))
        try nested.write(to: out)
        #expect(try values(out) == [[1, 2]])
        #expect(try folder.read("out/m.onnx") == message.bytes)
    }
}
