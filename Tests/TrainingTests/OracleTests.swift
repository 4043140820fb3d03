import Autograd
import Foundation
import GraphIR
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
/// The pairs `model.onnx` + `oracle.safetensors` under `Tests/Fixtures/oracles` come from `scripts/make_test_models.py`;
/// more are taken from the folders that `$FINETUNE_ORACLES` names, separated by colons. With `$FINETUNE_ORACLES_REPORT`
/// the errors are written down for `scripts/families.py`.
@Suite struct OracleTests {
    @Test(arguments: Oracle.all) func logits(oracle: Oracle) throws {
        try OracleReport.keepingError(of: oracle) {
            let (model, answers) = try oracle.load()
            guard answers.names.contains("logits_eval") else { return }
            let logits = try evaluate(model.module, try oracle.batch(0, answers))
            let expected = try answers.tensor(named: "logits_eval").converted(to: .float32)
            let error = relativeError(logits, expected.reshaped(logits.shape))
            OracleReport.add(oracle, ["logits": error])
            #expect(error <= (oracle.isHalf ? 2e-3 : 1e-4), "\(oracle): logits off by \(error)")
        }
    }

    @Test(arguments: Oracle.all) func trainingSteps(oracle: Oracle) throws {
        try OracleReport.keepingError(of: oracle) {
            let (model, answers) = try oracle.load()
            guard answers.names.contains("loss") else { return }
            let module = model.module
            var errors = try train(module, oracle, answers)
            errors["weights"] = try compareWeights(oracle, module, answers)
            OracleReport.add(oracle, errors)
            try checkExport(oracle, model, answers)
        }
    }

    /// With nothing but the head unfrozen its gradients are the same.
    @Test(arguments: Oracle.all) func headAlone(oracle: Oracle) throws {
        try OracleReport.keepingError(of: oracle) {
            let (model, answers) = try oracle.load()
            guard answers.names.contains("loss") else { return }
            let module = model.module
            try module.unfreeze(matching: ["head"])
            module.setFrozenStatistics(answers.metadata["bn_mode"] != "train")
            trainWithoutMasks(module)
            let cut = try CutModel(module)
            let logits = try cut.logits(try cut.features(try oracle.batch(0, answers)))
            try CrossEntropyLoss()(logits, try answers.tensor(named: "labels").rows(0..<1).integers()).backward()
            OracleReport.add(oracle, ["head": try compareGradients(oracle, module, answers)])
        }
    }

    /// Takes the oracle's steps. Returns the errors of the losses and of the first step's gradients.
    private func train(
        _ module: GraphModule, _ oracle: Oracle, _ answers: SafetensorsFile
    ) throws -> [String: Double] {
        let settings = answers.metadata
        try module.unfreeze(matching: [settings["unfreeze"] ?? "fc"])
        module.setFrozenStatistics(settings["bn_mode"] != "train")
        trainWithoutMasks(module)
        let cut = try CutModel(module)
        let optimizer = try SGD(
            module.parameters().filter(\.requiresGrad), learningRate: Double(settings["lr"] ?? "") ?? 0.001,
            momentum: Double(settings["momentum"] ?? "") ?? 0.9,
            weightDecay: Double(settings["weight_decay"] ?? "") ?? 0)
        let labels = try answers.tensor(named: "labels")
        let losses = try answers.tensor(named: "loss").doubles()
        var errors = ["loss": 0.0]
        for step in losses.indices {
            let truth = labels.rows(step..<step + 1).integers()
            optimizer.zeroGrad()
            let loss = try CrossEntropyLoss()(
                try cut.logits(try cut.features(try oracle.batch(step, answers))), truth)
            try loss.backward()
            let error = abs(loss.item() - losses[step]) / abs(losses[step])
            errors["loss"] = max(errors["loss"] ?? 0, error)
            #expect(error <= 1e-4, "\(oracle): loss \(step) is \(loss.item()), expected \(losses[step])")
            if step == 0 { errors["gradients"] = try compareGradients(oracle, module, answers) }
            try optimizer.step()
        }
        return errors
    }

    /// Random masks cannot be compared: the oracle has none.
    private func trainWithoutMasks(_ module: GraphModule) {
        module.train()
        for case let dropout as Dropout in module.modules() { dropout.eval() }
    }

    private func compareGradients(
        _ oracle: Oracle, _ module: GraphModule, _ answers: SafetensorsFile
    ) throws -> Double {
        var (compared, worst) = (0, 0.0)
        for key in answers.names where key.hasPrefix("grad/") {
            let parameter = try #require(module.parameter(String(key.dropFirst(5))), "\(oracle): no parameter \(key)")
            guard parameter.requiresGrad else { continue }
            let gradient = try #require(parameter.grad?.array, "\(oracle): no gradient for \(key)")
            let error = relativeError(gradient, try answers.tensor(named: key).converted(to: gradient.dtype))
            #expect(error <= 1e-3, "\(oracle): \(key) off by \(error) of the largest")
            (compared, worst) = (compared + 1, max(worst, error))
        }
        #expect(compared == module.parameters().count { $0.requiresGrad }, "\(oracle): \(compared) gradients compared")
        return worst
    }

    private func compareWeights(_ oracle: Oracle, _ module: GraphModule, _ answers: SafetensorsFile) throws -> Double {
        let buffers = Dictionary(module.namedBuffers().map { ($0.name, $0.buffer) }, uniquingKeysWith: { a, _ in a })
        var (compared, worst) = (0, 0.0)
        let keys = answers.names.filter { $0.hasPrefix("final/") }
        for key in keys {
            let name = String(key.dropFirst(6))
            // What an exporter folded away has no counterpart; parameters of the model must all be there.
            guard let tensor: Tensor = module.parameter(name) ?? buffers[name] else { continue }
            // Where the exporter folded batch norms, PyTorch's frozen weights are those before folding.
            if answers.metadata["bn"] == "fold" && !answers.names.contains("grad/" + name) { continue }
            let error = relativeError(tensor.array, try answers.tensor(named: key).converted(to: tensor.dtype))
            #expect(error <= 1e-4, "\(oracle): \(key) off by \(error) of the largest")
            (compared, worst) = (compared + 1, max(worst, error))
        }
        // An oracle may leave out what was frozen.
        let hasFrozen =
            answers.metadata["bn"] != "fold" && keys.contains { !answers.names.contains("grad/" + $0.dropFirst(6)) }
        let expected = module.parameters().count { hasFrozen || $0.requiresGrad }
        #expect(compared >= expected, "\(oracle): \(compared) weights compared")
        return worst
    }

    /// The trained model, written and read again, computes what it did before; tensors that were frozen are the file's.
    private func checkExport(_ oracle: Oracle, _ model: ImportedModel, _ answers: SafetensorsFile) throws {
        let folder = try OracleReport.folder ?? temporaryFolder()
        defer { if OracleReport.folder == nil { try? FileManager.default.removeItem(at: folder) } }
        let path = folder.appendingPathComponent("\(oracle).onnx").path
        try model.write(to: path)
        let batch = try oracle.batch(0, answers)
        let before = try evaluate(model.module, batch)
        let copy = try ImportedModel(path: path)
        let error = relativeError(try evaluate(copy.module, batch), before)
        #expect(
            error <= (oracle.isHalf || oracle.isStoredHalf ? 2e-3 : 1e-5), "\(oracle): exported logits off by \(error)")
        let frozen = Set(model.module.namedParameters().filter { !$0.parameter.requiresGrad }.map(\.name))
        #expect(Set(copy.module.namedParameters().map(\.name)) == Set(model.module.namedParameters().map(\.name)))
        for (name, parameter) in copy.module.namedParameters() where frozen.contains(name) {
            let original = try #require(model.module.parameter(name))
            #expect(parameter.array.isBitIdentical(to: original.array), "\(oracle): \(name) was frozen but changed")
        }
        try OracleReport.save(before, of: oracle)
    }

    private func evaluate(_ module: GraphModule, _ batch: NDArray) throws -> NDArray {
        module.eval()
        let cut = try CutModel(module)
        return try noGrad { try cut.logits(try cut.features(batch)) }.array
    }

    private func temporaryFolder() throws -> URL {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("finetune-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        return folder
    }
}

/// One pair of model and answers.
struct Oracle: CustomTestStringConvertible, CustomStringConvertible, Sendable {
    let folder: URL
    var description: String { folder.lastPathComponent }
    var testDescription: String { description }

    static let all: [Oracle] = {
        let more = ProcessInfo.processInfo.environment["FINETUNE_ORACLES"] ?? ""
        let roots =
            [TestFiles.fixtures.appendingPathComponent("oracles")]
            + more.split(separator: ":").map { URL(fileURLWithPath: String($0)) }
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

    /// The pictures of one step.
    func batch(_ step: Int, _ answers: SafetensorsFile) throws -> NDArray {
        let inputs = try answers.tensor(named: "input").converted(to: .float32)
        return inputs.rank == 5 ? inputs.rows(step..<step + 1).reshaped(Array(inputs.shape.dropFirst())) : inputs
    }

    /// A model that computes in float16 in ONNX Runtime is more exact here than there.
    var isHalf: Bool { description.contains("half-model") }
    /// Trained weights are rounded to float16 when they are written.
    var isStoredHalf: Bool { description.contains("half") }
}

/// The errors found, for `scripts/families.py`: lines of JSON in `report.jsonl`, beside it each trained model and its
/// logits.
enum OracleReport {
    static let folder = ProcessInfo.processInfo.environment["FINETUNE_ORACLES_REPORT"].map { URL(fileURLWithPath: $0) }

    static func add(_ oracle: Oracle, _ errors: [String: Double]) {
        append(["name": "\(oracle)"].merging(errors.mapValues { "\($0)" }) { a, _ in a })
    }

    static func keepingError(of oracle: Oracle, _ body: () throws -> Void) throws {
        do {
            try body()
        } catch {
            append(["name": "\(oracle)", "error": "\(error)"])
            throw error
        }
    }

    static func save(_ logits: NDArray, of oracle: Oracle) throws {
        guard let folder else { return }
        try Safetensors.write(["logits": logits], to: folder.appendingPathComponent("\(oracle).safetensors").path)
    }

    private static func append(_ entry: [String: String]) {
        guard let folder, var line = try? JSONEncoder().encode(entry) else { return }
        line.append(UInt8(ascii: "\n"))
        let file = open(folder.appendingPathComponent("report.jsonl").path, O_WRONLY | O_APPEND | O_CREAT, 0o644)
        // One write, so that lines of tests that run at once do not mix.
        _ = line.withUnsafeBytes { write(file, $0.baseAddress, $0.count) }
        close(file)
    }
}
