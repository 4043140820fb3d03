import GraphIR
import NN
import TensorCore

extension ImportedModel {
    /// What training changed, as edits of the file.
    ///
    /// Parameters and buffers whose bytes are the file's are left out. A constant that several layers shared gets an
    /// initializer of its own for each layer in which it changed.
    public func edits(metadata: [(key: String, value: String)] = []) throws -> ModelEdits {
        var edits = ModelEdits(
            metadata: Dictionary(metadata.map { ($0.key, $0.value) }, uniquingKeysWith: { _, b in b }))
        let graph = module.graph
        let readers = fileReaders()
        for (value, tensor) in module.state() {
            let array = tensor.array
            if let original = module.source.constants[module.origins[value] ?? value],
                original.isBitIdentical(to: array)
            {
                continue
            }
            guard module.origins[value] != nil else {
                edits.tensors[graph.values[value].name] = array
                continue
            }
            let name = graph.values[value].name
            edits.newInitializers.append(ModelEdits.NewInitializer(name: name, array: array))
            for (index, node) in graph.nodes.enumerated() {
                for (input, id) in node.inputs.enumerated() where id == value {
                    guard let output = node.outputs.first ?? nil, let position = readers[graph.values[output].name]
                    else {
                        throw GraphError(
                            graph.nodes[index].label, "is not in the file, so its weights cannot be separated")
                    }
                    edits.rewiredInputs[ModelEdits.NodeInput(node: position, input: input)] = name
                }
            }
        }
        return edits
    }

    /// Writes the file that was read with the trained tensors in their place; see `ModelFile.write`.
    public func write(
        to path: String, metadata: [(key: String, value: String)] = [], externalData: ExternalDataMode = .keep
    ) throws {
        try file.write(to: path, edits: try edits(metadata: metadata), externalData: externalData)
    }

    /// Position of the node that makes each value of the file.
    private func fileReaders() -> [String: Int] {
        var result: [String: Int] = [:]
        for (index, node) in file.model.graph.nodes.enumerated() {
            for output in node.outputs where !output.isEmpty { result[output] = index }
        }
        return result
    }
}
