import COnnx
import Files
import Foundation
import TestSupport
import Testing

@testable import ONNX

/// Real models of several exporters, and ONNX's own test models where they have been fetched.
@Suite struct WireSharedTests {
    /// ONNX's own cases.
    static let wheel = TestFiles.onnxCases

    static func models(below folder: URL?) -> [String] {
        guard let folder, let files = FileManager.default.enumerator(atPath: folder.path) else { return [] }
        return files.compactMap { $0 as? String }.filter { $0.hasSuffix(".onnx") }.sorted()
            .map { folder.path + "/" + $0 }
    }

    @Test(.enabled(if: TestFiles.shared != nil)) func sharedModelsLoad() throws {
        let models = WireSharedTests.models(below: TestFiles.shared?.appendingPathComponent("models"))
        var loaded = 0
        for path in models where !path.contains("lfs_pointer") && !path.contains("_MVN") {
            let file = try ModelFile.read(path)
            for tensor in file.model.graph.initializers {
                #expect(throws: Never.self) { _ = try tensor.array() }
            }
            #expect(!file.model.graph.nodes.isEmpty)
            loaded += 1
        }
        #expect(loaded == models.count - 2)
    }

    @Test(.enabled(if: TestFiles.shared != nil)) func sharedRefusals() throws {
        let folder = try #require(TestFiles.shared?.appendingPathComponent("models/refuse").path)
        #expect(throws: ONNXError.self) { try ModelFile.read(folder + "/resnet18_lfs_pointer.onnx") }
    }

    @Test(.enabled(if: wheel != nil)) func wheelModelsLoad() throws {
        let models = WireSharedTests.models(below: WireSharedTests.wheel)
        var refused: [String] = []
        for path in models {
            do {
                let file = try ModelFile.read(path)
                for tensor in file.model.graph.initializers where tensor.dataType.dtype != nil {
                    _ = try tensor.array()
                }
            } catch {
                refused.append("\(error)")
            }
        }
        #expect(models.count > 1_800)
        #expect(refused.isEmpty, "\(refused.count): \(refused.prefix(20).joined(separator: "\n"))")
    }

    /// The schema lacks nothing: what protobuf-c unpacks, it packs to the same bytes. (Files made by hand may have their
    /// fields in another order; those of every exporter have not.)
    @Test(.enabled(if: TestFiles.shared != nil || wheel != nil)) func schemaIsComplete() throws {
        let models =
            WireSharedTests.models(below: TestFiles.shared?.appendingPathComponent("models"))
            + WireSharedTests.models(below: WireSharedTests.wheel)
        var different: [String] = []
        for path in models where !path.contains("/refuse/") {
            let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
            guard let message = onnx__model_proto__unpack(nil, bytes.count, bytes) else {
                different.append(path)
                continue
            }
            defer { onnx__model_proto__free_unpacked(message, nil) }
            var packed = [UInt8](repeating: 0, count: onnx__model_proto__get_packed_size(message))
            onnx__model_proto__pack(message, &packed)
            if packed != bytes { different.append(path) }
        }
        #expect(different.isEmpty, "\(different.count) of \(models.count): \(different.prefix(10))")
    }
}
