import Autograd
import Foundation
import Operators
import Safetensors
import TensorCore
import TestSupport
import Testing

/// PyTorch's values and first derivatives of single ONNX nodes; scripts/make_operator_goldens.py writes and explains them.
@Suite struct TorchOperators {
    @Test(arguments: TorchCase.all)
    func valuesAndGradientsMatch(torchCase: TorchCase) throws {
        let goldens = try SafetensorsFile(path: TorchCase.folder.appendingPathComponent("torch.safetensors").path)
        func golden(_ part: String) throws -> NDArray { try goldens.tensor(named: "\(torchCase.name)/\(part)") }
        let type = try #require(OperatorRegistry.find(torchCase.op))
        let node = NodeAttributes(
            opType: torchCase.op, opset: torchCase.opset, inputCount: torchCase.inputs.count,
            torchCase.attributes.mapValues(\.value))
        let inputs = try torchCase.inputs.enumerated().map { index, isGiven in
            isGiven
                ? try Tensor(golden("input/\(index)"), requiresGrad: torchCase.differentiable.contains(index)) : nil
        }
        let outputs = try type.init(node)(inputs)
        let error = relativeError(outputs[0].array, try golden("output"))
        // Winograd's convolutions round a little more than direct ones.
        #expect(error < (torchCase.op == "Conv" ? 1e-5 : 1e-6), "output: \(error)")
        try outputs[0].backward(gradient: Tensor(golden("gradOutput")))
        for index in torchCase.differentiable {
            let gradient = try #require(inputs[index]?.grad)
            let error = relativeError(gradient.array, try golden("grad/\(index)"))
            #expect(error < (torchCase.op == "Conv" ? 1e-5 : 3e-6), "gradient of input \(index): \(error)")
        }
    }
}

struct TorchCase: Decodable, Sendable, CustomTestStringConvertible {
    let name: String
    let op: String
    let opset: Int
    let attributes: [String: Attribute]
    let inputs: [Bool]
    let differentiable: [Int]
    var testDescription: String { name }

    /// One of the fields is given.
    struct Attribute: Decodable, Sendable {
        let i: Int?
        let f: Float?
        let s: String?
        let ints: [Int]?

        var value: AttributeValue {
            if let i { return .int(i) }
            if let f { return .float(f) }
            return ints.map { .ints($0) } ?? .string(s ?? "")
        }
    }

    static let folder = TestFiles.fixtures.appendingPathComponent("operators")

    static let all: [TorchCase] = {
        struct Document: Decodable { let cases: [TorchCase] }
        do {
            let data = try Data(contentsOf: folder.appendingPathComponent("torch.json"))
            return try JSONDecoder().decode(Document.self, from: data).cases
        } catch {
            preconditionFailure("\(folder.path): \(error)")
        }
    }()
}
