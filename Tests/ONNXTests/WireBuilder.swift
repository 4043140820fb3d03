import Files
import Foundation

@testable import ONNX

/// Writes protobuf messages field by field, sound or broken ones alike.
struct Message {
    var bytes: [UInt8] = []

    init(_ build: (inout Message) -> Void = { _ in }) { build(&self) }

    mutating func int(_ field: UInt32, _ value: Int64) {
        bytes.appendTag(field, .varint)
        bytes.appendVarint(UInt64(bitPattern: value))
    }

    mutating func data(_ field: UInt32, _ value: [UInt8]) {
        bytes.appendTag(field, .lengthDelimited)
        bytes.appendVarint(UInt64(value.count))
        bytes += value
    }

    mutating func text(_ field: UInt32, _ value: String) { data(field, Array(value.utf8)) }

    mutating func message(_ field: UInt32, _ build: (inout Message) -> Void) { data(field, Message(build).bytes) }

    mutating func float(_ field: UInt32, _ value: Float) {
        bytes.appendTag(field, .fixed32)
        bytes += littleEndian([value])
    }

    /// Packed numbers.
    mutating func packed(_ field: UInt32, _ values: [Int64]) {
        var payload: [UInt8] = []
        for value in values { payload.appendVarint(UInt64(bitPattern: value)) }
        data(field, payload)
    }

    // MARK: - ONNX

    /// A model of IR 8 and opset 13 around `graph`.
    static func model(opset: Int64? = 13, _ graph: (inout Message) -> Void) -> Message {
        Message {
            $0.int(1, 8)
            if let opset { $0.message(8) { $0.int(2, opset) } }
            $0.message(7, graph)
        }
    }

    /// A model whose only content is one initializer named `t` that is also the output.
    static func withInitializer(_ build: (inout Message) -> Void) -> Message {
        .model { graph in
            graph.message(5) {
                $0.text(8, "t")
                build(&$0)
            }
            graph.valueInfo(12, "t", [])
        }
    }

    /// `field` is 1 in a graph, 7 in a function.
    mutating func node(
        _ opType: String, _ inputs: [String], _ outputs: [String], field: UInt32 = 1,
        _ build: (inout Message) -> Void = { _ in }
    ) {
        message(field) { node in
            for input in inputs { node.text(1, input) }
            for output in outputs { node.text(2, output) }
            node.text(4, opType)
            build(&node)
        }
    }

    /// `field` is 11 for an input, 12 for an output, 13 for value_info.
    mutating func valueInfo(_ field: UInt32, _ name: String, _ dims: [Int64], element: Int64 = 1) {
        message(field) { info in
            info.text(1, name)
            info.message(2) { type in
                type.message(1) { tensor in
                    tensor.int(1, element)
                    tensor.message(2) { shape in
                        for dim in dims { shape.message(1) { $0.int(1, dim) } }
                    }
                }
            }
        }
    }

    /// dims and raw_data of a float initializer.
    mutating func ints(_ name: String, _ values: [Int64]) {
        message(5) { tensor in
            tensor.int(1, Int64(values.count))
            tensor.int(2, 7)
            tensor.text(8, name)
            tensor.data(9, littleEndian(values))
        }
    }

    mutating func floats(_ name: String, _ dims: [Int64], _ values: [Float]) {
        message(5) { tensor in
            for dim in dims { tensor.int(1, dim) }
            tensor.int(2, 1)
            tensor.text(8, name)
            tensor.data(9, littleEndian(values))
        }
    }

    mutating func external(_ entries: [(String, String)]) {
        for (key, value) in entries {
            message(13) {
                $0.text(1, key)
                $0.text(2, value)
            }
        }
        int(14, 1)
    }
}

func littleEndian<T>(_ values: [T]) -> [UInt8] { values.withUnsafeBytes { Array($0) } }

extension ModelFile {
    /// Reads bytes that never were in a file.
    static func read(_ message: Message, limits: LoadLimits = .default) throws -> ModelFile {
        try ModelFile(bytes: FileBytes(message.bytes, path: "model.onnx"), limits: limits)
    }
}

/// A fresh folder, removed with its content when released.
final class TemporaryFolder {
    let path: String

    init() throws {
        path = FileManager.default.temporaryDirectory.appendingPathComponent("finetune-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func file(_ name: String) -> String { path + "/" + name }

    @discardableResult
    func write(_ bytes: [UInt8], to name: String) throws -> String {
        let target = URL(fileURLWithPath: file(name))
        try FileManager.default.createDirectory(
            at: target.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(bytes).write(to: target)
        return target.path
    }

    func read(_ name: String) throws -> [UInt8] { [UInt8](try Data(contentsOf: URL(fileURLWithPath: file(name)))) }

    var names: [String] { (try? FileManager.default.contentsOfDirectory(atPath: path).sorted()) ?? [] }
}
