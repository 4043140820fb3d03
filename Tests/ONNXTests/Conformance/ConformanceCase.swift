import Files
import Foundation
import GraphIR
import TensorCore
import TestSupport

@testable import ONNX

/// One of the ONNX project's cases: a model, and folders of inputs with the outputs expected for them.
struct ConformanceCase {
    /// Group and name: `node/test_relu`.
    let name: String
    let model: URL
    let isLight: Bool

    /// All cases below `folder`, sorted by name.
    static func all(below folder: URL) -> [ConformanceCase] {
        func names(_ group: String) -> [String] {
            (try? FileManager.default.contentsOfDirectory(atPath: folder.appendingPathComponent(group).path)) ?? []
        }
        var cases: [ConformanceCase] = []
        for group in ["node", "simple", "pytorch-converted", "pytorch-operator"] {
            for name in names(group) {
                let model = folder.appendingPathComponent("\(group)/\(name)/model.onnx")
                guard FileManager.default.fileExists(atPath: model.path) else { continue }
                cases.append(ConformanceCase(name: "\(group)/\(name)", model: model, isLight: false))
            }
        }
        for name in names("light") where name.hasSuffix(".onnx") {
            let model = folder.appendingPathComponent("light/\(name)")
            cases.append(ConformanceCase(name: "light/\(name.dropLast(5))", model: model, isLight: true))
        }
        return cases.sorted { $0.name < $1.name }
    }

    /// What became of a case.
    enum Outcome: Equatable {
        case passed
        case failed(String)
        /// Some of its operators are not registered.
        case unsupported
    }

    /// A case brought to its end, with the operators it is made of.
    struct Result {
        let outcome: Outcome
        let operators: Set<String>
        /// Element types and kinds of value that arithmetic here does not cover.
        let foreignTypes: [String]
    }

    func run() -> Result {
        do {
            let file = try ModelFile.read(model.path)
            let types = foreignTypes(file.model)
            let nodes = try file.executedNodes().nodes
            let operators = Set(nodes.map(GraphBuilder.fullName))
            guard try file.unsupportedOperators().isEmpty else {
                return Result(outcome: .unsupported, operators: operators, foreignTypes: types)
            }
            let outcome: Outcome
            do {
                outcome = try compare(file).map { .failed($0) } ?? .passed
            } catch {
                outcome = .failed("\(error)".replacingOccurrences(of: file.path + ": ", with: ""))
            }
            return Result(outcome: outcome, operators: operators, foreignTypes: types)
        } catch {
            return Result(outcome: .failed("\(error)"), operators: [], foreignTypes: [])
        }
    }

    // MARK: - Running

    /// The first difference from an expected output, or nil.
    private func compare(_ file: ModelFile) throws -> String? {
        let graph = try file.graph(ImportOptions(computesInFloat32: false))
        for set in try dataSets(graph) {
            let inputs = graph.inputs.map { graph.values[$0].name }
            guard set.inputs.count == inputs.count else {
                return "\(set.inputs.count) inputs are given, the graph has \(inputs.count)"
            }
            let results = try graph.run(
                named: Dictionary(uniqueKeysWithValues: zip(inputs, set.inputs)), source: name)
            for (output, expected) in zip(graph.outputs, set.outputs) {
                let name = graph.values[output].name
                guard let result = results[name] else { return "output '\(name)' is missing" }
                if let difference = ConformanceCase.difference(result, expected) {
                    return "output '\(name)': \(difference)"
                }
            }
        }
        return nil
    }

    /// The tolerances of ONNX's own runner; integers and booleans exactly.
    private static func difference(_ result: NDArray, _ expected: NDArray) -> String? {
        if !expected.dtype.isFloatingPoint, result.dtype == expected.dtype, result.shape == expected.shape {
            return result.isBitIdentical(to: expected)
                ? nil : TestSupport.difference(result, expected, rtol: 0, atol: 0) ?? "bits differ"
        }
        return TestSupport.difference(result, expected, rtol: 1e-3, atol: 1e-7)
    }

    private func dataSets(_ graph: Graph) throws -> [(inputs: [NDArray], outputs: [NDArray])] {
        if isLight {
            let expected = model.deletingPathExtension().path + "_output_0.pb"
            return [(try graph.inputs.map { try ConformanceCase.ramp(graph.values[$0]) }, [try tensor(expected)])]
        }
        let folder = model.deletingLastPathComponent()
        let names = try FileManager.default.contentsOfDirectory(atPath: folder.path)
        return try names.filter { $0.hasPrefix("test_data_set_") }.sorted().map { set in
            func tensors(_ prefix: String) throws -> [NDArray] {
                let path = folder.appendingPathComponent(set).path
                let files = try FileManager.default.contentsOfDirectory(atPath: path).filter {
                    $0.hasPrefix(prefix) && $0.hasSuffix(".pb")
                }
                return try files.indices.map { try tensor("\(path)/\(prefix)\($0).pb") }
            }
            return (try tensors("input_"), try tensors("output_"))
        }
    }

    /// What ONNX's runner gives the models without inputs of their own: 0, 1/n, 2/n, ..
    private static func ramp(_ value: Graph.Value) throws -> NDArray {
        let shape = (value.declared?.dimensions ?? []).map { if case .fixed(let size) = $0 { size } else { 1 } }
        let count = elementCount(shape)
        return NDArray((0..<count).map { Float(Double($0) / Double(count)) }, shape: shape)
    }

    /// Reads a file that holds a single TensorProto: as the value of a Constant node, through all checks of the loader.
    private func tensor(_ path: String) throws -> NDArray {
        let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
        let model = Message.model { graph in
            graph.node("Constant", [], ["tensor"]) { node in
                node.message(5) {
                    $0.text(1, "value")
                    $0.data(5, bytes)
                    $0.int(20, 4)
                }
            }
        }
        let file = try ModelFile(bytes: FileBytes(model.bytes, path: path), limits: .default)
        guard case .tensor(let tensor)? = file.model.graph.nodes.first?.attribute("value")?.value else {
            throw ONNXError(path, .malformed, "holds no tensor")
        }
        return try tensor.array()
    }

    // MARK: - Types

    /// Types of the model's values other than float32, float64, integers of 8 to 64 bits and bool, in ONNX's spelling.
    private func foreignTypes(_ model: ModelProto) -> [String] {
        var names: Set<String> = []
        func add(_ type: TensorProto.DataType) {
            guard let dtype = type.dtype, dtype != .float16, dtype != .bfloat16 else {
                names.insert(type.description)
                return
            }
        }
        for value in model.graph.inputs + model.graph.outputs + model.graph.valueInfo {
            switch value.type {
            case .tensor(let type, _): add(type)
            case .sequence: names.insert("SEQUENCE")
            case .optional: names.insert("OPTIONAL")
            case .map: names.insert("MAP")
            case .sparseTensor: names.insert("SPARSE_TENSOR")
            case .opaque, nil: break
            }
        }
        for tensor in model.graph.initializers { add(tensor.dataType) }
        for node in model.graph.nodes {
            for attribute in node.attributes {
                if case .tensor(let tensor) = attribute.value { add(tensor.dataType) }
                if attribute.name == "to", case .int(let code) = attribute.value {
                    add(TensorProto.DataType(rawValue: Int32(truncatingIfNeeded: code)))
                }
            }
        }
        return names.sorted()
    }
}
