import GraphIR
import NN
import TensorCore

extension ImportedModel {
    /// What training changed, as edits of the file.
    ///
    /// Parameters and buffers whose bytes are the file's are left out. Where layers share a constant and training made them
    /// different, the one it is named after keeps it and each of the others gets an initializer of its own.
    public func edits(metadata: [(key: String, value: String)] = []) throws -> ModelEdits {
        // Before a head was replaced, copies of shared constants included.
        let initial = module.source.unshared().graph.constants
        let changed = module.state().filter { initial[$0.value]?.isBitIdentical(to: $0.tensor.array) != true }
        return try edits(of: Set(changed.map(\.value)), metadata: metadata)
    }

    /// Throws `ONNXError` or `GraphError` when new values of `parameters` would have no place in the file: better before training
    /// than after it.
    public func checkWritable(_ parameters: [Parameter]) throws {
        let trained = Set(parameters.map(ObjectIdentifier.init))
        let values = module.state().filter { trained.contains(ObjectIdentifier($0.tensor)) }.map(\.value)
        var patch = try ModelPatch(file)
        try ONNXError.naming(file.path) { try patch.plan(try edits(of: Set(values))) }
    }

    private func edits(
        of changed: Set<ValueID>, metadata: [(key: String, value: String)] = []
    ) throws -> ModelEdits {
        var edits = ModelEdits(
            metadata: Dictionary(metadata.map { ($0.key, $0.value) }, uniquingKeysWith: { _, b in b }))
        edits.shapes = changedShapes
        edits.inferenceNodes = trainingNodes
        for (node, axis) in module.classAxes { try setClasses(node, axis, in: &edits) }
        for (value, tensor) in module.state() {
            let name = module.graph.values[value].name
            guard let origin = module.origins[value] else {
                if changed.contains(value) { edits.tensors[name] = tensor.array }
                continue
            }
            guard changed.contains(value) || changed.contains(origin) else { continue }
            var read = name
            let isCopy = value >= module.source.values.count
            if isCopy { read = try rewire(value, to: name, in: &edits) ?? name }
            edits.newInitializers.append(
                ModelEdits.NewInitializer(
                    name: name, array: tensor.array, dataType: file.model.graph.constantType(of: read),
                    replacesNode: !isCopy))
        }
        return edits
    }

    /// Writes the file that was read with the trained tensors in their place; see `ModelFile.write`.
    public func write(
        to path: String, metadata: [(key: String, value: String)] = [], externalData: ExternalDataMode = .keep
    ) throws {
        try file.write(to: path, edits: try edits(metadata: metadata), externalData: externalData)
    }

    /// Gives a Reshape behind the new head a target of its own.
    private func setClasses(_ node: Int, _ axis: Int, in edits: inout ModelEdits) throws {
        let label = module.graph.nodes[node].label
        guard let classes = newClassCount, let position = module.graph.nodes[node].position,
            var target = try file.model.graph.constant(file.model.graph.nodes[position].inputs[1])?.integers()
        else { throw GraphError(label, "has the number of classes in a shape that cannot be changed; use --keep-head") }
        target[axis] = classes
        let taken = Set(module.graph.values.map(\.name))
        let stem = "\(file.model.graph.nodes[position].inputs[1])_\(classes)_classes"
        let name = (0...).lazy.map { $0 == 0 ? stem : "\(stem)_\($0)" }.first {
            !taken.contains($0) && !edits.newInitializers.map(\.name).contains($0)
        }
        guard let name else { return }
        edits.newInitializers.append(ModelEdits.NewInitializer(name: name, array: NDArray(target)))
        edits.rewiredInputs[ModelEdits.NodeInput(node: position, input: 1)] = name
    }

    /// Lets the nodes that read the copy `value` read `name`. Returns what they read in the file.
    private func rewire(_ value: ValueID, to name: String, in edits: inout ModelEdits) throws -> String? {
        let graph = module.graph
        var read: String?
        for node in graph.nodes {
            for (input, id) in node.inputs.enumerated() where id == value {
                guard let position = node.position else {
                    throw GraphError(
                        node.label,
                        "is one of a function's nodes: its weights cannot be separated from another layer's; keep it frozen"
                    )
                }
                read = file.model.graph.nodes[position].inputs[input]
                edits.rewiredInputs[ModelEdits.NodeInput(node: position, input: input)] = name
            }
        }
        return read
    }
}

extension GraphProto {
    /// Position of the node that makes each value.
    func producers() -> [String: Int] {
        var result: [String: Int] = [:]
        for (index, node) in nodes.enumerated() {
            for output in node.outputs where !output.isEmpty { result[output] = index }
        }
        return result
    }

    /// The elements of an initializer or of a Constant node; nil for other values.
    func constant(_ name: String) throws -> NDArray? {
        if let tensor = initializers.first(where: { $0.name == name }) { return try tensor.array() }
        return try producers()[name].flatMap { try nodes[$0].constantTensor?.array() }
    }

    /// Element type of a constant, or of what Identity, Transpose, Cast and their like make of one; nil for other values.
    func constantType(of name: String) -> TensorProto.DataType? {
        let producers = producers()
        var name = name
        while let index = producers[name] {
            let node = nodes[index]
            if let tensor = node.constantTensor { return tensor.dataType }
            if case .tensor(let tensor)? = node.attribute("value")?.value { return tensor.dataType }
            if node.opType == "Cast", case .int(let code)? = node.attribute("to")?.value {
                return TensorProto.DataType(rawValue: Int32(truncatingIfNeeded: code))
            }
            guard Graph.rearrangements.contains(node.opType), let next = node.inputs.first else { return nil }
            name = next
        }
        return initializers.first { $0.name == name }?.dataType
    }
}
