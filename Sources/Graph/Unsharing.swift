import TensorCore

extension Graph {
    /// The graph in which every layer reads constants of its own, and where each new one came from.
    ///
    /// Exporters merge equal initializers, so that one constant may feed several layers; each must learn on its own. A layer
    /// that reads one through Identity, Transpose or their like gets what they make of it. Copies share memory with the
    /// original until one is changed.
    public func unshared() -> (graph: Graph, origins: [ValueID: ValueID]) {
        let slots = layers().flatMap { layer in (layer.parameters + layer.buffers).map { (slot: $0, path: layer.path) }
        }
        // The layer that a constant is named after keeps it, or else the first that reads it.
        var keepers: [ValueID: Int] = [:]
        for (index, (slot, path)) in slots.enumerated() {
            let owns = slot.name.hasPrefix(path + ".")
            guard let keeper = keepers[slot.root] else {
                keepers[slot.root] = index
                continue
            }
            if owns && !slot.name.hasPrefix(slots[keeper].path + ".") { keepers[slot.root] = index }
        }
        let copies = slots.enumerated().filter { keepers[$1.slot.root] != $0 }.map {
            (slot: $1.slot, name: "\($1.path).\($1.slot.role)")
        }
        var result = self
        var origins: [ValueID: ValueID] = [:]
        guard !copies.isEmpty else { return (result, origins) }
        let known = constants(behind: copies.compactMap { nodes[$0.slot.node].inputs[$0.slot.input] })
        var names = UniqueNames(taken: values.map(\.name))
        let (producers, consumers) = (self.producers(), self.consumers())
        for (slot, wanted) in copies {
            guard let read = nodes[slot.node].inputs[slot.input], let array = known[read] else { continue }
            // An Identity that gives the constant the layer's name gives way to it.
            if values[read].name == wanted, let index = producers[read], consumers[read] == [slot.node],
                !outputs.contains(read), nodes[index].outputs == [read]
            {
                result.nodes[index].outputs = [nil]
                result.constants[read] = array
                origins[read] = slot.root
                continue
            }
            let copy = result.addValue(names.name(like: wanted))
            result.constants[copy] = array
            result.nodes[slot.node].inputs[slot.input] = copy
            origins[copy] = slot.root
        }
        return (result, origins)
    }

    /// Every constant, and those among `ids` that nodes compute from constants.
    private func constants(behind ids: [ValueID]) -> [ValueID: NDArray] {
        let computed = ids.filter { constants[$0] == nil }
        guard !computed.isEmpty else { return constants }
        return (try? computeConstants(cut(active: [], outputs: computed).constant)) ?? constants
    }
}
