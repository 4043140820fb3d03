import TensorCore

extension Graph {
    /// The graph in which every layer reads constants of its own, and where each new one came from.
    ///
    /// Exporters merge equal initializers, so that one constant may feed several layers; each must learn on its own. Copies
    /// share memory with the original until one is changed.
    public func unshared() -> (graph: Graph, origins: [ValueID: ValueID]) {
        var result = self
        var origins: [ValueID: ValueID] = [:]
        var seen: Set<ValueID> = []
        for layer in layers() {
            for slot in layer.parameters + layer.buffers where !seen.insert(slot.root).inserted {
                // Behind a Transpose or a Cast the copy would need copies of those too; such a constant stays shared.
                guard nodes[slot.node].inputs[slot.input] == slot.root, let array = constants[slot.root] else {
                    continue
                }
                let copy = result.addValue("\(layer.path).\(slot.role)")
                result.constants[copy] = array
                result.nodes[slot.node].inputs[slot.input] = copy
                origins[copy] = slot.root
            }
        }
        return (result, origins)
    }

    /// The value that classes are decided by: the first output, or what enters the Softmax or LogSoftmax before it.
    public func logitsValue() throws -> ValueID {
        guard var current = outputs.first else { throw GraphError("the graph", "has no output") }
        let producer = producers()
        while let index = producer[current],
            ["Softmax", "LogSoftmax", "Identity", "Cast"].contains(nodes[index].opType),
            let next = nodes[index].inputs.first ?? nil
        {
            current = next
        }
        return current
    }
}
