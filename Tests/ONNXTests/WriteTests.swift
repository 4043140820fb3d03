import Files
import Foundation
import Safetensors
import TensorCore
import TestSupport
import Testing

@testable import ONNX

/// What is written is what was read, but for what was asked to change.
@Suite struct WriteTests {
    /// x [N, 4] → Gemm(w1 [3, 4]) → Relu → Gemm(w2 [2, 3], b2 [2]) → y [N, 2], in IR 8, with fields no schema knows.
    private func model(ir: Int64 = 8, dataType: Int64 = 1, form: TensorPayload.Form = .raw) -> Message {
        Message { model in
            model.int(1, ir)
            model.text(2, "maker")
            model.message(14) {
                $0.text(1, "key")
                $0.text(2, "value")
            }
            model.message(8) { $0.int(2, 13) }
            model.data(77, [1, 2, 3])
            model.message(7) { graph in
                graph.text(2, "main")
                func tensor(_ name: String, _ dims: [Int64], _ values: [Float]) {
                    graph.message(5) { tensor in
                        for dim in dims { tensor.int(1, dim) }
                        tensor.int(2, dataType)
                        tensor.text(12, "documented")
                        switch (form, dataType) {
                        case (.int32, 10):
                            tensor.packed(5, values.map { Int64(Float16Bits($0).bitPattern) })
                        case (.float, _): tensor.data(4, littleEndian(values))
                        case (_, 10): tensor.data(9, littleEndian(values.map { Float16Bits($0).bitPattern }))
                        default: tensor.data(9, littleEndian(values))
                        }
                        tensor.text(8, name)
                    }
                }
                tensor("w1", [3, 4], (0..<12).map { Float($0) / 4 })
                graph.node("Gemm", ["x", "w1"], ["h"])
                graph.node("Relu", ["h"], ["r"])
                tensor("w2", [2, 3], (0..<6).map { Float($0) / 2 })
                tensor("b2", [2], [1, -1])
                graph.node("Gemm", ["r", "w2", "b2"], ["y"])
                graph.valueInfo(11, "x", [2, 4])
                graph.valueInfo(13, "h", [2, 3])
                graph.valueInfo(12, "y", [2, 2])
                graph.float(88, 1)
            }
        }
    }

    private func write(
        _ message: Message, _ edits: ModelEdits = ModelEdits(), mode: ExternalDataMode = .keep
    ) throws -> (folder: TemporaryFolder, bytes: [UInt8], file: ModelFile) {
        let folder = try TemporaryFolder()
        let path = try folder.write(message.bytes, to: "in.onnx")
        try ModelFile.read(path).write(to: folder.file("out.onnx"), edits: edits, externalData: mode)
        return (folder, try folder.read("out.onnx"), try ModelFile.read(folder.file("out.onnx")))
    }

    private func array(_ name: String, in file: ModelFile) throws -> NDArray {
        try #require(file.model.graph.initializers.first { $0.name == name }).array()
    }

    @Test func nothingChangedIsByteIdentical() throws {
        let message = model()
        let result = try write(message)
        #expect(result.bytes == message.bytes)
        #expect(result.folder.names == ["in.onnx", "out.onnx"])
        // Equal values are no change either, whatever the form.
        for form in [TensorPayload.Form.raw, .float] {
            let message = model(form: form)
            let same = NDArray((0..<6).map { Float($0) / 2 }, shape: [2, 3])
            #expect(try write(message, ModelEdits(tensors: ["w2": same])).bytes == message.bytes)
        }
    }

    @Test func onlyTheChangedTensorDiffers() throws {
        let message = model()
        let new = NDArray([Float](repeating: 7, count: 6), shape: [2, 3])
        let result = try write(message, ModelEdits(tensors: ["w2": new]))
        #expect(result.bytes.count == message.bytes.count)
        let differing = zip(result.bytes, message.bytes).enumerated().filter { $0.element.0 != $0.element.1 }.map(
            \.offset)
        #expect(!differing.isEmpty && differing.last! - differing.first! < 24)
        #expect(try array("w2", in: result.file).isBitIdentical(to: new))
        #expect(try array("w1", in: result.file).elements(as: Float.self) == (0..<12).map { Float($0) / 4 })
    }

    @Test(arguments: [TensorPayload.Form.raw, .int32]) func halfPrecisionStaysHalf(_ form: TensorPayload.Form) throws {
        let message = model(dataType: 10, form: form)
        let unchanged = try ModelFile.read(message).model.graph.initializers.first { $0.name == "w2" }?.array()
        let inFloat = try #require(unchanged).converted(to: .float32)
        #expect(try write(message, ModelEdits(tensors: ["w2": inFloat])).bytes == message.bytes)
        let new = NDArray([Float](repeating: 0.1, count: 6), shape: [2, 3])
        let result = try write(message, ModelEdits(tensors: ["w2": new]))
        let read = try array("w2", in: result.file)
        #expect(read.dtype == .float16)
        #expect(read.isBitIdentical(to: new.converted(to: .float16)))
        #expect(result.file.model.graph.initializers.map(\.storageName).allSatisfy { $0 == form.fieldName })
    }

    @Test func tensorsAndValuesGetNewShapes() throws {
        var edits = ModelEdits()
        edits.tensors = ["w2": NDArray.ones([5, 3]), "b2": NDArray.zeros([5])]
        edits.shapes["y"] = [.parameter("batch"), .value(5)]
        let graph = try write(model(), edits).file.model.graph
        #expect(graph.initializers.map(\.dims) == [[3, 4], [5, 3], [5]])
        #expect(graph.outputs[0].dimensions == [.parameter("batch"), .value(5)])
        #expect(graph.valueInfo[0].dimensions == [.value(2), .value(3)])
    }

    @Test func aScalarGetsDimsAndAMatrixLosesThem() throws {
        let message = Message.model { graph in
            graph.floats("s", [], [1])
            graph.floats("m", [1, 2], [1, 2])
            graph.valueInfo(12, "s", [])
        }
        let edits = ModelEdits(tensors: ["s": NDArray([Float(1), 2, 3]), "m": NDArray(scalar: Float(9))])
        let result = try write(message, edits)
        #expect(try array("s", in: result.file).elements(as: Float.self) == [1, 2, 3])
        #expect(try array("m", in: result.file).shape == [])
    }

    @Test func constantsAndComputedWeights() throws {
        let message = Message.model { graph in
            graph.node("Constant", [], ["c"]) { node in
                node.message(5) {
                    $0.text(1, "value")
                    $0.message(5) {
                        $0.int(1, 2)
                        $0.int(2, 1)
                        $0.data(4, littleEndian([Float(1), 2]))
                    }
                    $0.int(20, 4)
                }
            }
            graph.message(5) {
                $0.int(1, 1)
                $0.int(2, 7)
                $0.text(8, "shape")
                $0.packed(7, [2])
            }
            graph.node("ConstantOfShape", ["shape"], ["k"])
            graph.node("Add", ["c", "k"], ["y"])
            graph.valueInfo(12, "y", [2])
        }
        var edits = ModelEdits()
        edits.tensors = ["c": NDArray([Float(5), 6]), "k": NDArray([Float(7), 8])]
        let graph = try write(message, edits).file.model.graph
        guard case .tensor(let constant)? = graph.nodes[0].attribute("value")?.value else {
            Issue.record("the Constant is gone")
            return
        }
        #expect(try constant.array().elements(as: Float.self) == [5, 6])
        #expect(constant.storageName == "float_data")
        #expect(graph.nodes.map(\.opType) == ["Constant", "Add"])
        #expect(graph.initializers.map(\.name) == ["shape", "k"])
        #expect(try graph.initializers[1].array().elements(as: Float.self) == [7, 8])
    }

    @Test(arguments: [Int64(3), 8]) func anInitializerIsUnshared(_ ir: Int64) throws {
        var edits = ModelEdits()
        edits.newInitializers = [
            ModelEdits.NewInitializer(name: "w2.copy", array: NDArray.ones([2, 3]), dataType: .float16)
        ]
        edits.rewiredInputs = [
            ModelEdits.NodeInput(node: 2, input: 1): "w2.copy", ModelEdits.NodeInput(node: 2, input: 2): "w1",
            ModelEdits.NodeInput(node: 0, input: 1): "w2",
        ]
        let graph = try write(model(ir: ir), edits).file.model.graph
        #expect(graph.nodes.map(\.inputs) == [["x", "w2"], ["h"], ["r", "w2.copy", "w1"]])
        #expect(graph.initializers.last?.dataType == .float16)
        #expect(graph.inputs.map(\.name) == (ir < 4 ? ["x", "w2.copy"] : ["x"]))
    }

    @Test func metadata() throws {
        let edits = ModelEdits(metadata: ["z": "last", "a": "first", "key": "new"])
        let model = try write(model(), edits).file.model
        #expect(model.metadataProps.map(\.key) == ["key", "a", "z"])
        #expect(model.metadataProps.map(\.value) == ["new", "first", "last"])
        #expect(model.producerName == "maker")
    }

    @Test func editsThatDoNotFitAreRefused() throws {
        let file = try ModelFile.read(model())
        func refused(_ edits: ModelEdits, _ says: String) {
            let error = #expect(throws: ONNXError.self) { try file.serialized(edits: edits) }
            #expect(error?.kind == .export)
            #expect(error?.reason.contains(says) == true, "\(error?.description ?? "")")
        }
        refused(ModelEdits(tensors: ["nothing": NDArray([Float(1)])]), "no tensor 'nothing'")
        refused(ModelEdits(tensors: ["b2": NDArray([Int64(1), 2])]), "do not fit into FLOAT")
        var edits = ModelEdits()
        edits.rewiredInputs = [ModelEdits.NodeInput(node: 9, input: 0): "w1"]
        refused(edits, "no input 0 of node 9")
        edits = ModelEdits()
        edits.newInitializers = [ModelEdits.NewInitializer(name: "h", array: NDArray([Float(1)]))]
        refused(edits, "would hide")
    }

    /// A written model whose graph no longer fits together is not written at all.
    @Test func whatDoesNotReadBackIsNotWritten() throws {
        let folder = try TemporaryFolder()
        let path = try folder.write(model().bytes, to: "in.onnx")
        var edits = ModelEdits()
        edits.rewiredInputs = [ModelEdits.NodeInput(node: 0, input: 0): "nowhere"]
        #expect(throws: ONNXError.self) { try ModelFile.read(path).write(to: folder.file("out.onnx"), edits: edits) }
        #expect(folder.names == ["in.onnx"])
    }

    /// w: [2, 3], external, in the file `location`.
    private func externalModel(_ location: String) -> Message {
        .model { graph in
            graph.message(5) { tensor in
                for dim in [2, 3] { tensor.int(1, Int64(dim)) }
                tensor.int(2, 1)
                tensor.text(8, "w")
                tensor.external([("location", location), ("offset", "0"), ("length", "24")])
            }
            graph.node("MatMul", ["x", "w"], ["y"])
            graph.valueInfo(11, "x", [1, 2])
            graph.valueInfo(12, "y", [1, 3])
        }
    }

    @Test func dataThatIsStillReadIsNotOverwritten() throws {
        let folder = try TemporaryFolder()
        let values = (1...6).map { Float($0) }
        _ = try folder.write(littleEndian(values), to: "renamed.onnx.data")
        let base = try folder.write(externalModel("renamed.onnx.data").bytes, to: "base.onnx")
        let edits = ModelEdits(tensors: ["w": NDArray([Float](repeating: 7, count: 6), shape: [2, 3])])
        let error = #expect(throws: ONNXError.self) {
            try ModelFile.read(base).write(to: folder.file("renamed.onnx"), edits: edits)
        }
        #expect(error?.reason.contains("choose another name") == true)
        #expect(try array("w", in: ModelFile.read(base)).doubles() == values.map { Double($0) })
        #expect(folder.names == ["base.onnx", "renamed.onnx.data"])
        // In its own place a model may change its data.
        let own = try folder.write(externalModel("renamed.onnx.data").bytes, to: "renamed.onnx")
        try ModelFile.read(own).write(to: own, edits: edits)
        #expect(try array("w", in: ModelFile.read(own)).doubles() == [Double](repeating: 7, count: 6))
    }

    @Test func aModelIsNotWrittenOverItsData() throws {
        let folder = try TemporaryFolder()
        _ = try folder.write(littleEndian([Float](repeating: 1, count: 6)), to: "out.onnx")
        let path = try folder.write(externalModel("./out.onnx").bytes, to: "m.onnx")
        try FileManager.default.createDirectory(atPath: folder.file("copy"), withIntermediateDirectories: false)
        let error = #expect(throws: ONNXError.self) { try ModelFile.read(path).write(to: folder.file("copy/out.onnx")) }
        #expect(error?.reason.contains("data file") == true)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.file("copy")).isEmpty)
    }

    @Test func numbersTooLargeForTheirTypeAreRefused() throws {
        let folder = try TemporaryFolder()
        let path = try folder.write(model(dataType: 10).bytes, to: "half.onnx")
        let edits = ModelEdits(tensors: ["b2": NDArray([Float(1e6), 0])])
        let error = #expect(throws: ONNXError.self) {
            try ModelFile.read(path).write(to: folder.file("out.onnx"), edits: edits)
        }
        #expect(error?.reason.contains("too large") == true)
    }

    /// Beside numbers that are infinite already, in a new initializer, and where integers would wrap.
    @Test func numbersThatDoNotFitAreRefused() throws {
        let half = try ModelFile.read(model(dataType: 10))
        func refusal(_ edits: ModelEdits) -> String {
            let error = #expect(throws: ONNXError.self) { try half.serialized(edits: edits) }
            return error?.reason ?? ""
        }
        #expect(refusal(ModelEdits(tensors: ["b2": NDArray([Float.infinity, 1e6])])).contains("'b2': numbers are too"))
        var edits = ModelEdits()
        edits.newInitializers = [
            ModelEdits.NewInitializer(name: "w3", array: NDArray([1e300]), dataType: .float)
        ]
        #expect(refusal(edits) == "tensor 'w3': numbers are too large for FLOAT")
        edits.newInitializers = [
            ModelEdits.NewInitializer(name: "n", array: NDArray([Int64(300)]), dataType: .uint8)
        ]
        #expect(refusal(edits) == "tensor 'n': holds numbers that UINT8 cannot")
        #expect(throws: Never.self) {
            try half.serialized(edits: ModelEdits(tensors: ["b2": NDArray([Float.infinity, 1])]))
        }
    }

    @Test func aModelCanReplaceItself() throws {
        let folder = try TemporaryFolder()
        let path = try folder.write(model().bytes, to: "m.onnx")
        let file = try ModelFile.read(path)
        for value in 1...3 {
            try file.write(to: path, edits: ModelEdits(tensors: ["b2": NDArray([Float(value), 0])]))
            #expect(try array("b2", in: ModelFile.read(path)).doubles() == [Double(value), 0])
        }
    }

    @Test func serializedMatchesTheFile() throws {
        let edits = ModelEdits(tensors: ["b2": NDArray([Float(3), 4])], metadata: ["a": "b"])
        #expect(try write(model(), edits).bytes == ModelFile.read(model()).serialized(edits: edits))
    }

    @Test func safetensors() throws {
        let folder = try TemporaryFolder()
        let file = try ModelFile.read(model())
        try file.writeSafetensors(to: folder.file("w"), metadata: ["a": "b"])
        let read = try SafetensorsFile(path: folder.file("w"))
        #expect(read.names == ["b2", "w1", "w2"])
        #expect(read.metadata == ["a": "b"])
        for tensor in file.model.graph.initializers {
            #expect(try read.tensor(named: tensor.name).isBitIdentical(to: tensor.array()))
        }
        #expect(throws: ONNXError.self) { try file.writeSafetensors(to: folder.file("w"), names: ["nothing"]) }
        let empty = try ModelFile.read(
            .model {
                $0.valueInfo(11, "x", [1])
                $0.node("Relu", ["x"], ["y"])
            })
        let error = #expect(throws: ONNXError.self) { try empty.writeSafetensors(to: folder.file("e")) }
        #expect(error?.description == "model.onnx: holds no tensors")
        #expect(folder.names == ["w"])
    }

    @Test func fieldNumbersMatchTheSchema() {
        func number(_ message: String, _ field: String) -> UInt32? {
            WireSchema.onnx.messages.first { $0.name == message }?.fields.first { $0.name == field }?.number
        }
        #expect(number("ModelProto", "graph") == FieldNumber.Model.graph)
        #expect(number("ModelProto", "metadata_props") == FieldNumber.Model.metadataProps)
        #expect(number("GraphProto", "node") == FieldNumber.Graph.node)
        #expect(number("GraphProto", "initializer") == FieldNumber.Graph.initializer)
        #expect(number("GraphProto", "input") == FieldNumber.Graph.input)
        #expect(number("GraphProto", "output") == FieldNumber.Graph.output)
        #expect(number("GraphProto", "value_info") == FieldNumber.Graph.valueInfo)
        #expect(number("NodeProto", "input") == FieldNumber.Node.input)
        #expect(number("TensorProto", "dims") == FieldNumber.Tensor.dims)
        #expect(number("TensorProto", "data_type") == FieldNumber.Tensor.dataType)
        #expect(number("TensorProto", "name") == FieldNumber.Tensor.name)
        #expect(number("TensorProto", "external_data") == FieldNumber.Tensor.externalData)
        #expect(number("TensorProto", "data_location") == FieldNumber.Tensor.dataLocation)
        #expect(number("ValueInfoProto", "name") == FieldNumber.ValueInfo.name)
        #expect(number("ValueInfoProto", "type") == FieldNumber.ValueInfo.type)
        #expect(number("TypeProto", "tensor_type") == FieldNumber.TypeOfValue.tensor)
        #expect(number("Tensor", "elem_type") == FieldNumber.TensorType.elementType)
        #expect(number("Tensor", "shape") == FieldNumber.TensorType.shape)
        #expect(number("TensorShapeProto", "dim") == FieldNumber.Shape.dim)
        #expect(number("Dimension", "dim_value") == FieldNumber.Dimension.value)
        #expect(number("Dimension", "dim_param") == FieldNumber.Dimension.parameter)
        #expect(number("StringStringEntryProto", "key") == FieldNumber.Entry.key)
        #expect(number("StringStringEntryProto", "value") == FieldNumber.Entry.value)
    }

    // MARK: - Real models

    private static let realModels =
        WireSharedTests.models(below: TestFiles.shared?.appendingPathComponent("models"))
        + WireSharedTests.models(below: WireSharedTests.wheel)

    @Test(.enabled(if: !realModels.isEmpty)) func realModelsAreByteIdentical() throws {
        var count = 0
        for path in WriteTests.realModels where !path.contains("/refuse/") {
            let file = try ModelFile.read(path)
            let hasExternal = file.model.tensorsByOrdinal.values.contains(where: \.isExternal)
            let folder = try TemporaryFolder()
            try file.write(to: folder.file("out.onnx"))
            #expect(try FileBytes(path: folder.file("out.onnx")).hasEqualBytes(file.bytes), "\(path)")
            #expect((folder.names.count > 1) == hasExternal, "\(path): \(folder.names)")
            count += 1
        }
        #expect(count > 10)
    }

    /// With one tensor changed, every other tensor is the same, in every real model and every mode.
    @Test(.enabled(if: TestFiles.shared != nil)) func realModelsKeepTheOtherTensors() throws {
        let models = WireSharedTests.models(below: TestFiles.shared?.appendingPathComponent("models"))
        for path in models where !path.contains("/refuse/") {
            let file = try ModelFile.read(path)
            guard let changed = file.model.graph.initializers.last(where: { $0.dataType == .float }) else { continue }
            let new = NDArray.full(try changed.shape(), 0.5)
            for mode in [ExternalDataMode.keep, .embed, .external(minimumBytes: 64)] {
                let folder = try TemporaryFolder()
                let out = folder.file("out.onnx")
                try file.write(to: out, edits: ModelEdits(tensors: [changed.name: new]), externalData: mode)
                let written = try ModelFile.read(out)
                #expect(written.model.graph.initializers.map(\.name) == file.model.graph.initializers.map(\.name))
                for (a, b) in zip(written.model.graph.initializers, file.model.graph.initializers) {
                    let expected = b.name == changed.name ? new : try b.array()
                    #expect(try a.array().isBitIdentical(to: expected), "\(path) \(mode): \(a.name)")
                }
            }
        }
    }
}
