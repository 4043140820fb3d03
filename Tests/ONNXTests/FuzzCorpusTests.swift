import Autograd
import Files
import Foundation
import NN
import TensorCore
import TestSupport
import Testing

@testable import ONNX

/// The inputs of `Fuzz/Corpus`, damaged ones among them: seeds, and whatever the fuzzer has found.
@Suite struct FuzzCorpusTests {
    /// Each is refused with an error, or imported and run.
    @Test func modelsAreRefusedOrRun() throws {
        let folder = TestFiles.package.appendingPathComponent("Fuzz/Corpus/FuzzModel")
        let names = try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
        #expect(names.count >= 12)
        var ran: [String] = []
        for name in names {
            let path = folder.appendingPathComponent(name).path
            guard let model = try? ImportedModel(path: path, imageSize: (8, 8)) else { continue }
            #expect(try model.file.serialized() == [UInt8](Data(contentsOf: URL(fileURLWithPath: path))), "\(name)")
            guard let inputs = try? model.module.graph.inputInfos(batch: 1, imageSize: (8, 8)),
                let input = model.module.graph.inputs.first.flatMap({ inputs[$0] }),
                let output = try? noGrad({ try model.module(Tensor(NDArray.ones(input.shape))) })
            else { continue }
            #expect(output.count > 0)
            ran.append(name)
        }
        #expect(Set(ran).isSuperset(of: ["classifier.onnx", "gemm.onnx", "relu.onnx", "function.onnx"]))
    }
}
