import Files
import Foundation
import TensorCore
import Testing

@testable import ONNX

@Suite struct WireExternalDataTests {
    private let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
        try folder.write(littleEndian([Float(0), 1, 2, 3]), to: "models/w.bin")
        try folder.write(littleEndian([Float(9), 9]), to: "secret")
        try FileManager.default.createSymbolicLink(
            atPath: folder.file("models/link"), withDestinationPath: "../secret")
        try FileManager.default.createSymbolicLink(atPath: folder.file("models/up"), withDestinationPath: "..")
        try FileManager.default.linkItem(atPath: folder.file("secret"), toPath: folder.file("models/hard"))
        mkfifo(folder.file("models/fifo"), 0o600)
    }

    /// A tensor of two floats whose elements are where `entries` say.
    private func tensor(_ entries: [(String, String)], limits: LoadLimits = .default) throws -> TensorProto {
        let message = Message.withInitializer {
            $0.int(1, 2)
            $0.int(2, 1)
            $0.external(entries)
        }
        let path = try folder.write(message.bytes, to: "models/m.onnx")
        return try ModelFile.read(path, limits: limits).model.graph.initializers[0]
    }

    @Test func reads() throws {
        #expect(try tensor([("location", "w.bin"), ("offset", "4"), ("length", "8")]).array().doubles() == [1, 2])
        #expect(try tensor([("location", "w.bin")]).array().doubles() == [0, 1])
        #expect(try tensor([("location", "./w.bin"), ("offset", "8"), ("checksum", "?")]).array().doubles() == [2, 3])
    }

    @Test(
        arguments: [
            ([("location", "../secret")], "leads out of the folder"),
            ([("location", "/etc/passwd")], "absolute path"),
            ([("location", "link")], "symbolic link"),
            ([("location", "up/secret")], "symbolic link"),
            ([("location", "hard")], "hard links"),
            ([("location", "fifo")], "FIFO"),
            ([("location", ".")], "is a folder"),
            ([("location", "nothing")], "no such file"),
            ([("location", "")], "no location"),
            ([], "no location"),
            ([("location", "w.bin"), ("location", "link")], "given twice"),
            ([("location", "w.bin"), ("offset", "-4")], "no byte count"),
            ([("location", "w.bin"), ("offset", "0x4")], "no byte count"),
            ([("location", "w.bin"), ("offset", "99999999999999999999")], "no byte count"),
            ([("location", "w.bin"), ("offset", "9223372036854775807")], "do not lie within"),
            ([("location", "w.bin"), ("offset", "9223372036854775800"), ("length", "8")], "do not lie within"),
            ([("location", "w.bin"), ("offset", "12")], "do not lie within"),
            ([("location", "w.bin"), ("length", "12")], "need 8 bytes"),
            ([("location", "w.bin"), ("length", "-8")], "no byte count"),
        ] as [([(String, String)], String)])
    func refuses(_ entries: [(String, String)], _ says: String) throws {
        let tensor = try tensor(entries)
        let error = #expect(throws: ONNXError.self) { try tensor.array() }
        #expect(error?.kind == .externalData)
        #expect(error?.reason.contains(says) == true, "\(error?.description ?? "")")
        #expect(error?.description.hasPrefix(folder.file("models/m.onnx") + ": tensor 't': external data: ") == true)
    }

    @Test(.enabled(if: FileManager.default.fileExists(atPath: "/dev/zero")))
    func refusesDevicesEvenWhenLifted() throws {
        var limits = LoadLimits()
        limits.externalData = .anywhere
        let tensor = try tensor([("location", "/dev/zero")], limits: limits)
        #expect(throws: ONNXError.self) { try tensor.array() }
    }

    @Test func anExplicitOptionLiftsTheRules() throws {
        var limits = LoadLimits()
        limits.externalData = .anywhere
        for location in ["../secret", "link", "up/secret", "hard", folder.file("secret")] {
            #expect(try tensor([("location", location)], limits: limits).array().doubles() == [9, 9])
        }
    }

    @Test func theFolderStaysTheOneThatWasOpened() throws {
        let tensor = try tensor([("location", "w.bin")])
        let manager = FileManager.default
        try manager.moveItem(atPath: folder.file("models"), toPath: folder.file("moved"))
        try folder.write(littleEndian([Float(7), 7]), to: "models/w.bin")
        #expect(try tensor.array().doubles() == [0, 1])
    }
}
