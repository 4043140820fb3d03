import Autograd
import Foundation
import NN
import ONNX
import Optim
import Safetensors
import TensorCore
import TestSupport
import Testing

@testable import Training

/// Models with PyTorch's and ONNX Runtime's own answers: logits, and losses, gradients and weights of a few steps.
///
/// The pairs `model.onnx` + `oracle.safetensors` under `Tests/Fixtures/oracles` come from `scripts/make_test_models.py`; more are
/// taken from the folder that `$FINETUNE_ORACLES` names.
@Suite struct OracleTests {
    @Test(arguments: Oracle.all) func logits(oracle: Oracle) throws {
        let (model, answers) = try oracle.load()
        guard answers.names.contains("logits_eval") else { return }
        model.module.eval()
        let x = try answers.tensor(named: "input").converted(to: .float32)
        let batch = x.rank == 5 ? x.rows(0..<1).reshaped(Array(x.shape.dropFirst())) : x
        let cut = try CutModel(model.module)
        let logits = try noGrad { try cut.logits(try cut.features(batch)) }.array
        let expected = try answers.tensor(named: "logits_eval").converted(to: .float32)
        let error = relativeError(logits, expected.reshaped(logits.shape))
        #expect(error <= (oracle.isHalf(answers) ? 2e-3 : 1e-4), "\(oracle): logits off by \(error)")
    }

    @Test(arguments: Oracle.all) func trainingSteps(oracle: Oracle) throws {
        let (model, answers) = try oracle.load()
        guard answers.names.contains("loss") else { return }
        let settings = answers.metadata
        let module = model.module
        try module.unfreeze(matching: [settings["unfreeze"] ?? "fc"])
        module.setFrozenStatistics(settings["bn_mode"] != "train")
        module.train()
        let cut = try CutModel(module)
        let optimizer = try SGD(
            module.parameters().filter(\.requiresGrad), learningRate: Double(settings["lr"] ?? "") ?? 0.001,
            momentum: Double(settings["momentum"] ?? "") ?? 0.9,
            weightDecay: Double(settings["weight_decay"] ?? "") ?? 0)
        let inputs = try answers.tensor(named: "input").converted(to: .float32)
        let labels = try answers.tensor(named: "labels")
        let losses = try answers.tensor(named: "loss").doubles()
        for step in losses.indices {
            let batch = inputs.rows(step..<step + 1).reshaped(Array(inputs.shape.dropFirst()))
            let truth = labels.rows(step..<step + 1).integers()
            optimizer.zeroGrad()
            let loss = try CrossEntropyLoss()(try cut.logits(try cut.features(batch)), truth)
            try loss.backward()
            #expect(
                abs(loss.item() - losses[step]) <= 1e-4 * abs(losses[step]),
                "\(oracle): loss \(step) is \(loss.item()), expected \(losses[step])")
            if step == 0 { try compareGradients(oracle, module, answers) }
            try optimizer.step()
        }
        try compareWeights(oracle, module, answers)
    }

    private func compareGradients(_ oracle: Oracle, _ module: GraphModule, _ answers: SafetensorsFile) throws {
        var compared = 0
        for key in answers.names where key.hasPrefix("grad/") {
            let parameter = try #require(module.parameter(String(key.dropFirst(5))), "\(oracle): no parameter \(key)")
            let gradient = try #require(parameter.grad?.array, "\(oracle): no gradient for \(key)")
            let error = relativeError(gradient, try answers.tensor(named: key).converted(to: gradient.dtype))
            #expect(error <= 1e-3, "\(oracle): \(key) off by \(error) of the largest")
            compared += 1
        }
        #expect(compared == module.parameters().count { $0.requiresGrad }, "\(oracle): \(compared) gradients compared")
    }

    private func compareWeights(_ oracle: Oracle, _ module: GraphModule, _ answers: SafetensorsFile) throws {
        let buffers = Dictionary(module.namedBuffers().map { ($0.name, $0.buffer) }, uniquingKeysWith: { a, _ in a })
        var compared = 0
        defer { #expect(compared >= module.parameters().count, "\(oracle): \(compared) weights compared") }
        for key in answers.names where key.hasPrefix("final/") {
            let name = String(key.dropFirst(6))
            // What an exporter folded away has no counterpart; parameters of the model must all be there.
            guard let tensor: Tensor = module.parameter(name) ?? buffers[name] else { continue }
            let expected = try answers.tensor(named: key)
            compared += 1
            let error = relativeError(tensor.array, expected.converted(to: tensor.dtype))
            #expect(error <= 1e-4, "\(oracle): \(key) off by \(error) of the largest")
        }
    }
}

/// One pair of model and answers.
struct Oracle: CustomTestStringConvertible, CustomStringConvertible, Sendable {
    let folder: URL
    var description: String { folder.lastPathComponent }
    var testDescription: String { description }

    static let all: [Oracle] = {
        var roots = [TestFiles.fixtures.appendingPathComponent("oracles")]
        if let more = ProcessInfo.processInfo.environment["FINETUNE_ORACLES"] {
            roots.append(URL(fileURLWithPath: more))
        }
        return roots.flatMap { root -> [Oracle] in
            let names = (try? FileManager.default.subpathsOfDirectory(atPath: root.path)) ?? []
            return names.filter { $0.hasSuffix("oracle.safetensors") }.sorted().map {
                Oracle(folder: root.appendingPathComponent($0).deletingLastPathComponent())
            }
        }
    }()

    func load() throws -> (ImportedModel, SafetensorsFile) {
        let answers = try SafetensorsFile(path: folder.appendingPathComponent("oracle.safetensors").path)
        return (try ImportedModel(path: folder.appendingPathComponent("model.onnx").path), answers)
    }

    /// Models that compute in float16 in ONNX Runtime are more exact here than there.
    func isHalf(_ answers: SafetensorsFile) -> Bool { description.contains("half-model") }
}
