import Files
import Foundation
import Safetensors
import TensorCore
import TestSupport
import Testing

@testable import ONNX

/// What `finetune export`, `apply` and `diff` promise.
@Suite struct ExportTests {
    /// y = Gemm(x, w [2, 3], b [2]) with a Constant node that is added.
    private func model(weight: Float = 1, activation: String = "Relu", key: String = "value", outputs: Int64 = 2)
        -> Message
    {
        .model { graph in
            graph.floats("w", [outputs, 3], (0..<Int(3 * outputs)).map { Float($0) * weight })
            graph.floats("b", [outputs], [Float](repeating: 0.5, count: Int(outputs)))
            graph.node("Constant", [], ["c"]) { node in
                node.message(5) {
                    $0.text(1, "value")
                    $0.message(5) {
                        $0.int(1, 1)
                        $0.int(2, 1)
                        $0.data(9, littleEndian([Float(3)]))
                    }
                    $0.int(20, 4)
                }
            }
            graph.node("Gemm", ["x", "w", "b"], ["h"])
            graph.node("Add", ["h", "c"], ["s"])
            graph.node(activation, ["s"], ["y"])
            graph.valueInfo(11, "x", [1, 3])
            graph.valueInfo(12, "y", [1, outputs])
        }.followedBy { model in
            model.message(14) {
                $0.text(1, "key")
                $0.text(2, key)
            }
        }
    }

    // MARK: - Unchanged

    /// Every model that loads is written as it was read.
    @Test(.enabled(if: TestFiles.shared != nil || TestFiles.onnxCases != nil)) func unchangedIsByteIdentical() throws {
        let models =
            WireSharedTests.models(below: TestFiles.shared?.appendingPathComponent("models"))
            + WireSharedTests.models(below: TestFiles.onnxCases)
        let folder = try TemporaryFolder()
        var (written, different) = (0, [String]())
        for path in models {
            guard let file = try? ModelFile.read(path) else { continue }
            let target = folder.file("copy.onnx")
            do {
                try file.write(to: target)
                let isEqual = try FileBytes(path: target).hasEqualBytes(file.bytes)
                if !isEqual { different.append(path) }
            } catch {
                different.append("\(error)")
            }
            written += 1
        }
        print(
            "export: \(written - different.count) of \(written) models byte-identical, \(models.count - written) do not load"
        )
        #expect(different.isEmpty, "\(different.count) of \(written): \(different.prefix(5))")
        #expect(TestFiles.onnxCases == nil || written > 1_800)
    }

    // MARK: - Safetensors there and back

    @Test func weightsGoOutAndComeBack() throws {
        let folder = try TemporaryFolder()
        let weights = folder.file("w.safetensors")
        try ModelFile.read(model(weight: 2)).writeSafetensors(to: weights)
        #expect(try SafetensorsFile(path: weights).names.sorted() == ["b", "c", "w"])
        let target = try ModelFile.read(model(weight: 1))
        try target.write(to: folder.file("out.onnx"), edits: target.edits(applying: SafetensorsFile(path: weights)))
        #expect(try folder.read("out.onnx") == model(weight: 2).bytes)
    }

    /// Constants that are written as numbers rather than as tensors take part under the names of their outputs.
    @Test func constantsOfPlainNumbersGoOutAndComeBack() throws {
        func model(_ scale: Float, _ row: [Float]) -> Message {
            .model { graph in
                graph.valueInfo(11, "x", [1, 2])
                graph.node("Constant", [], ["scale"]) { node in
                    node.message(5) {
                        $0.text(1, "value_float")
                        $0.float(2, scale)
                        $0.int(20, 1)
                    }
                }
                graph.node("Constant", [], ["row"]) { node in
                    node.message(5) {
                        $0.text(1, "value_floats")
                        $0.data(7, littleEndian(row))
                        $0.int(20, 6)
                    }
                }
                graph.node("Mul", ["x", "scale"], ["h"])
                graph.node("Add", ["h", "row"], ["y"])
                graph.valueInfo(12, "y", [1, 2])
            }
        }
        let folder = try TemporaryFolder()
        let weights = folder.file("w.safetensors")
        try ModelFile.read(model(2, [3, 4])).writeSafetensors(to: weights)
        let read = try SafetensorsFile(path: weights)
        #expect(try read.tensor(named: "scale").shape == [])
        #expect(try read.tensor(named: "row").doubles() == [3, 4])
        // What is equal stays as it is; what changed becomes an initializer.
        let target = try ModelFile.read(model(2, [0, 0]))
        let out = folder.file("out.onnx")
        try target.write(to: out, edits: target.edits(applying: read))
        let graph = try ModelFile.read(out).model.graph
        #expect(graph.initializers.map(\.name) == ["row"] && graph.initializers[0].dataType == .float)
        #expect(graph.nodes.map(\.opType) == ["Constant", "Mul", "Add"])
        let results = try ModelFile.read(out).graph().run(named: ["x": .ones([1, 2])], source: "test")
        #expect(results["y"]?.doubles() == [5, 6])
        let changed = try difference(model(2, [3, 4]), model(2, [3, 7]))
        #expect(changed.tensors.filter(\.changed).map(\.name) == ["row"] && changed.nodesChanged == 0)
        #expect(changed.lines == ["row [2]: largest difference 3.0", "1 of 2 tensors differ"])
    }

    @Test func weightsThatDoNotFitAreRefused() throws {
        let folder = try TemporaryFolder()
        let file = try ModelFile.read(model())
        let (w, b, c) = (NDArray.zeros([2, 3]), NDArray.zeros([2]), NDArray.zeros([1]))
        func refusal(_ tensors: [String: NDArray]) throws -> String {
            let path = folder.file("w.safetensors")
            try Safetensors.write(tensors, to: path)
            let error = #expect(throws: ONNXError.self) {
                try file.write(
                    to: folder.file("out.onnx"), edits: try file.edits(applying: SafetensorsFile(path: path)))
            }
            #expect(!FileManager.default.fileExists(atPath: folder.file("out.onnx")))
            return error?.reason ?? ""
        }
        #expect(try refusal(["w": w, "b": b, "c": c, "d": c]) == "holds what model.onnx has no tensor for: 'd'")
        #expect(try refusal(["w": w]) == "lacks what model.onnx holds: 'b' and 1 more")
        #expect(
            try refusal(["w": w, "b": b, "k": c])
                == "holds what model.onnx has no tensor for: 'k'; lacks what model.onnx holds: 'c'")
        #expect(
            try refusal(["w": b, "b": b, "c": c]) == "tensor 'w' has shape [2], in model.onnx it has [2, 3]")
        #expect(
            try refusal(["w": w, "b": NDArray([Int64(1), 2]), "c": c]).contains("tensor 'b': elements of int64"))
    }

    // MARK: - Differences

    private func difference(_ a: Message, _ b: Message) throws -> ModelDifference {
        try ModelDifference(try ModelFile.read(a), try ModelFile.read(b))
    }

    @Test func equalModels() throws {
        let result = try difference(model(), model())
        #expect(result.identical && result.lines == ["identical"])
        #expect(result.tensors.map(\.name) == ["w", "b", "c"])
        #expect(result.tensors.allSatisfy { !$0.changed && $0.maxAbs == 0 })
        #expect(result.tensors.map(\.elements) == [6, 2, 1])
    }

    /// Entries of one name are compared in turn, not copied for each.
    @Test func manyEntriesOfOneName() throws {
        let message = model().followedBy { model in
            for index in 0..<40_000 {
                model.message(14) {
                    $0.text(1, "same")
                    $0.text(2, "\(index)")
                }
            }
        }
        let start = ContinuousClock.now
        #expect(try difference(message, message).metadataChanged.isEmpty)
        // A second of a quiet machine; tests share theirs.
        #expect(ContinuousClock.now - start < .seconds(10))
    }

    @Test func whatDiffersIsNamed() throws {
        let weights = try difference(model(), model(weight: 3))
        #expect(weights.tensors.filter(\.changed).map(\.name) == ["w"])
        #expect(weights.tensors[0].maxAbs == 10)
        #expect(!weights.identical && weights.nodesChanged == 0 && weights.metadataChanged.isEmpty)
        #expect(weights.lines == ["w [2, 3]: largest difference 10.0", "1 of 3 tensors differ"])

        let nodes = try difference(model(), model(activation: "Sigmoid"))
        #expect(nodes.nodesChanged == 1 && nodes.tensors.allSatisfy { !$0.changed } && !nodes.identical)

        #expect(try difference(model(), model(key: "other")).metadataChanged == ["key"])

        let head = try difference(model(), model(outputs: 4))
        #expect(head.shapesChanged == ["y"])
        #expect(head.tensors.map(\.changed) == [true, true, false])
        #expect(head.tensors[0].shape == [4, 3] && head.tensors[0].maxAbs == nil)
    }

    @Test func differencesAsJSON() throws {
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        let data = try encoder.encode(try difference(model(), model(outputs: 4)))
        let object = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
        #expect(
            Set(object.keys)
                == ["tensors", "nodes_changed", "metadata_changed", "shapes_changed", "fields_changed", "identical"])
        let tensor = try #require((object["tensors"] as? [[String: Any]])?.first)
        #expect(Set(tensor.keys) == ["name", "shape", "changed", "elements", "max_abs"])
        #expect(tensor["max_abs"] is NSNull)
    }

    // MARK: - Documentation

    @Test func operatorTableIsFresh() throws {
        let written = try String(
            contentsOf: TestFiles.package.appendingPathComponent("docs/operators.md"), encoding: .utf8)
        #expect(written == OperatorTable.markdown, "run: finetune ops --markdown > docs/operators.md")
    }
}
