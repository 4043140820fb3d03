import Autograd
import Files
import Foundation
import GraphIR
import NN
import ONNX
import Operators
import TensorCore
import TestSupport
import Testing

@testable import Training

/// Every layer as the place of the cut: whatever lies at the boundary, pictures get the logits that the file gives each alone.
///
/// The models of `Tests/Fixtures/cuts` come from `scripts/make_cut_models.py`; more are taken from the folders that
/// `$FINETUNE_CUT_MODELS` names, separated by colons.
@Suite struct CutTests {
    @Test(arguments: CutModelFile.all) func everyLayer(file: CutModelFile) throws {
        let model = try ImportedModel(path: file.path), module = model.module
        let side = module.graph.assumedImageSize.map { _ in (32, 32) }
        let pictures = try file.pictures(module, 7, side)
        let expected = try file.logits(pictures)
        let paths = module.layers.map { layer in layer.parameters.map { "\(layer.path).\($0.role)" } }
        for names in paths + [paths.flatMap { $0 }] {
            try module.freeze()
            try module.unfreeze(matching: names)
            module.setFrozenStatistics(true)
            module.train()
            for case let dropout as Dropout in module.modules() { dropout.train(false) }
            let cut = try CutModel(module, imageSize: side)
            let place = names.count > 3 ? "everything" : names.joined(separator: ", ")
            // Rows that are kept, and rows of groups that are cut into other batches.
            let kept = try cut.features(pictures, alone: true)
            let groups = try [0..<3, 3..<7].map { try cut.features(pictures.rows($0)) }
            let grouped = try kept.indices.map { i in try NDArray.concatenate(groups.map { $0[i] }, axis: 0) }
            for (name, rows) in [("kept", kept), ("grouped", grouped)] {
                for size in [1, 3, 4, 7] {
                    for first in stride(from: 0, to: 7, by: size) {
                        let range = first..<min(7, first + size)
                        let logits = try cut.logits(rows.map { $0.rows(range) }).array
                        let error = relativeError(logits, expected.rows(range))
                        #expect(error < 1e-4, "\(file), \(place), \(name), \(range): \(error)")
                    }
                }
            }
            try checkGradients(cut, module, kept, "\(file), \(place)")
        }
    }

    /// A batch's gradient is the sum of its pictures'.
    private func checkGradients(_ cut: CutModel, _ module: GraphModule, _ rows: [NDArray], _ place: String) throws {
        func gradients(_ range: Range<Int>) throws -> [NDArray] {
            for parameter in module.parameters() { parameter.grad = nil }
            let logits = try cut.logits(rows.map { $0.rows(range) })
            try (logits * logits).sum().backward()
            return module.parameters().filter(\.requiresGrad).map {
                $0.grad?.array ?? .zeros($0.shape, dtype: $0.dtype)
            }
        }
        let whole = try gradients(0..<3)
        let singles = try (0..<3).map { try gradients($0..<$0 + 1) }
        #expect(whole.contains { $0.doubles().contains { $0 != 0 } }, "\(place): no gradient")
        for (index, gradient) in whole.enumerated() {
            let sum = try singles.dropFirst().reduce(singles[0][index]) { try .binary(.add, $0, $1[index]) }
            let scale = max(1e-3, gradient.doubles().map(abs).max() ?? 0)
            let error = zip(gradient.doubles(), sum.doubles()).map { abs($0 - $1) }.max() ?? 0
            #expect(error < 1e-3 * scale, "\(place): gradient \(index) off by \(error) of \(scale)")
        }
    }

    @Test func headsAndOutputsAreFound() throws {
        func paths(_ name: String) throws -> (logits: String, heads: [String]) {
            let module = try ImportedModel(path: CutModelFile.fixture(name)).module
            return (module.graph.values[module.logits].name, module.headLayers().map { module.layers[$0].path })
        }
        #expect(try paths("heads-summed-ts") == ("logits", ["head", "other"]))
        #expect(try paths("auxiliary-output-ts") == ("logits", ["head"]))
        #expect(try paths("features-first-ts") == ("logits", ["head"]))
        let named = try ImportedModel(path: CutModelFile.fixture("auxiliary-output-ts"), output: "aux").module
        #expect(named.headLayers().map { named.layers[$0].path } == ["other"])
        #expect(throws: ParameterPatternError.self) { try named.unfreeze(matching: ["head.weight", "lin"]) }
        #expect(throws: GraphError.self) {
            try ImportedModel(path: CutModelFile.fixture("auxiliary-output-ts"), output: "nothing")
        }
    }

    @Test func headsThatAddUpAreReplacedTogether() throws {
        let model = try ImportedModel(path: CutModelFile.fixture("heads-summed-ts"))
        var random = RandomSource(seed: 1)
        let head = try model.replaceHead(classes: 5, using: &random)
        #expect(head.path == "head, other" && head.oldClasses == 3)
        let trained = model.module.namedParameters().filter { $0.parameter.requiresGrad }.map(\.name)
        #expect(trained == ["head.weight", "head.bias", "other.weight", "other.bias"])
        #expect(try model.module.classCount() == 5)
    }

    /// What a file in training mode says is read, and written, as inference.
    @Test func trainingModeBecomesInference() throws {
        let model = try ImportedModel(path: CutModelFile.fixture("norms-in-training-ts"))
        #expect(model.nodesInTrainingMode.count == 2)
        let written = try ModelFile(
            bytes: FileBytes(model.file.serialized(edits: model.edits()), path: "memory"))
        let nodes = written.model.graph.nodes
        let norm = try #require(nodes.first { $0.opType == "BatchNormalization" })
        #expect(norm.outputs.count == 1 && norm.attribute("training_mode") == nil)
        #expect(nodes.first { $0.opType == "Dropout" }?.inputs.count == 2)
        #expect(try ImportedModel(file: written).nodesInTrainingMode.isEmpty)
    }

    /// Fillers are no parameters; class tokens, positions and tables are.
    @Test func parametersAreThoseOfPyTorch() throws {
        func names(_ name: String) throws -> [String] {
            try ImportedModel(path: CutModelFile.fixture(name)).module.namedParameters().map(\.name)
        }
        let groups = try names("groups-ts")
        #expect(
            groups == [
                "conv.weight", "conv.bias", "norm.weight", "norm_1.weight", "conv2.weight", "conv2.bias", "fc.weight",
                "fc.bias",
            ])
        let tokens = try names("tokens-dynamo")
        #expect(tokens.contains { $0.contains("token") } && tokens.contains { $0.contains("positions") })
    }

    /// A table of positions that is read at constant places trains as the table, masks not at all.
    @Test func tablesTrainAsTables() throws {
        var graph = Graph()
        func add(_ op: any Operator, _ inputs: [ValueID]) -> ValueID {
            let id = graph.addValue("v\(graph.values.count)")
            graph.nodes.append(Graph.Node(name: "n\(id)", op: op, inputs: inputs, outputs: [id]))
            return id
        }
        func constant(_ name: String, _ array: NDArray) -> ValueID {
            let id = graph.addValue(name)
            graph.constants[id] = array
            return id
        }
        let x = graph.addValue("x", declared: .init(.float32, [.symbolic("N"), .fixed(2), .fixed(2)]))
        graph.inputs = [x]
        let table = constant("attention.table", NDArray([1, 2, 3] as [Float]))
        let places = constant("places", NDArray([0, 1, 1, 2], shape: [2, 2]))
        let biased = add(Op.Add(), [x, add(Op.Gather(), [table, places])])
        let mask = constant("attention.mask", NDArray([0, -100, 0, 0] as [Float], shape: [2, 2]))
        graph.outputs = [add(Op.Add(), [biased, mask])]
        let layers = graph.layers()
        #expect(layers.count == 1 && layers[0].parameters.map(\.root) == [table])
    }

    @Test func fixedBatchesAreOpened() throws {
        for name in [
            "tokens-batch-of-one-ts", "tokens-batch-of-one-dynamo", "windows-batch-of-one-ts",
            "groups-batch-of-one-dynamo",
        ] {
            let module = try ImportedModel(path: CutModelFile.fixture(name)).module
            #expect(try module.batchRelations().closedBatch == nil, "\(name)")
        }
    }
}

/// One model of the tests above.
struct CutModelFile: Sendable, CustomTestStringConvertible, CustomStringConvertible {
    let path: String

    var description: String { URL(fileURLWithPath: path).deletingPathExtension().lastPathComponent }
    var testDescription: String { description }

    static func fixture(_ name: String) -> String {
        TestFiles.fixtures.appendingPathComponent("cuts/\(name).onnx").path
    }

    static let all: [CutModelFile] = {
        var folders = [TestFiles.fixtures.appendingPathComponent("cuts")]
        if let shared = TestFiles.shared { folders.append(shared.appendingPathComponent("cases/cut")) }
        let given = ProcessInfo.processInfo.environment["FINETUNE_CUT_MODELS"] ?? ""
        folders += given.split(separator: ":").map { URL(fileURLWithPath: String($0)) }
        return folders.flatMap { folder in
            let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
            return names.filter { $0.hasSuffix(".onnx") }.sorted().map {
                CutModelFile(path: folder.appendingPathComponent($0).path)
            }
        }
    }()

    func pictures(_ module: GraphModule, _ count: Int, _ side: (height: Int, width: Int)?) throws -> NDArray {
        var random = RandomSource(seed: 5)
        let input = try module.graph.pictureInput()
        let shape = try module.graph.inputInfos(batch: count, imageSize: side)[input]?.shape
        return try NDArray.randomNormal(try #require(shape), from: &random)
    }

    /// What the nodes of the file make of each picture alone.
    func logits(_ pictures: NDArray) throws -> NDArray {
        let graph = try ModelFile.read(path).graph().inInferenceForm().graph
        let output = try graph.logitsValue(imageSize: graph.assumedImageSize.map { _ in (32, 32) })
        let size = graph.fixedBatch ?? 1
        let rows = try (0..<pictures.shape[0]).map { picture -> NDArray in
            var known = graph.constants
            known[graph.inputs[0]] = pictures.rows(picture..<picture + 1).filled(to: 1)
            for node in graph.nodes {
                let results = try node.op.forward(node.inputs.map { $0.flatMap { known[$0] } })
                for (id, array) in zip(node.outputs, results) { if let id { known[id] = array } }
            }
            let logits = try #require(known[output])
            return logits.reshaped([1, logits.count])
        }
        #expect(size == 1 || rows.count == pictures.shape[0])
        return try NDArray.concatenate(rows, axis: 0)
    }
}
