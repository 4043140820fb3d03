import TensorCore

/// A graph divided where training enters.
///
/// A node is *trainable* if it reads an active value or the output of such a node; everything before is the frozen prefix,
/// whose results at the boundary are all that training sees.
public struct Cut: Sendable {
    /// Frozen nodes that depend on the inputs, in execution order: run without autograd.
    public var prefix: [Int]
    /// Nodes on the tape, in execution order.
    public var suffix: [Int]
    /// Nodes whose inputs are all constant: computed once.
    public var constant: [Int]
    /// Values that the prefix (or the caller) hands to the suffix, and outputs that need no suffix.
    public var boundary: [ValueID]

    public init(prefix: [Int] = [], suffix: [Int] = [], constant: [Int] = [], boundary: [ValueID] = []) {
        self.prefix = prefix
        self.suffix = suffix
        self.constant = constant
        self.boundary = boundary
    }
}

extension Graph {
    /// Cuts at `active` values (unfrozen parameters) and `activeNodes` (nodes that behave differently while training:
    /// dropout, batch norm with batch statistics). Nodes that no output needs are in no part.
    ///
    /// - `wanted`: the values to compute; the graph's outputs by default.
    public func cut(active: Set<ValueID>, activeNodes: Set<Int> = [], outputs wanted: [ValueID]? = nil) -> Cut {
        let outputs = wanted ?? self.outputs
        var onTape = active
        var isConstant = Set(constants.keys).subtracting(active)
        var cut = Cut()
        let needed = nodesNeeded(for: outputs)
        for (index, node) in nodes.enumerated() where needed.contains(index) {
            let reads = node.inputs.compactMap { $0 }
            let makes = node.outputs.compactMap { $0 }
            if activeNodes.contains(index) || reads.contains(where: onTape.contains) {
                cut.suffix.append(index)
                onTape.formUnion(makes)
            } else if reads.allSatisfy(isConstant.contains) {
                cut.constant.append(index)
                isConstant.formUnion(makes)
            } else {
                cut.prefix.append(index)
            }
        }
        var seen: Set<ValueID> = []
        let readers = cut.suffix.flatMap { nodes[$0].inputs.compactMap { $0 } } + outputs
        for id in readers where !onTape.contains(id) && !isConstant.contains(id) && seen.insert(id).inserted {
            cut.boundary.append(id)
        }
        return cut
    }

    /// How many nodes the prefix and the suffix of `cut(active:activeNodes:outputs:)` have for each of `groups` of active
    /// values, in much less time than as many cuts take.
    public func cutSizes(
        _ groups: [[ValueID]], activeNodes: Set<Int> = [], outputs: [ValueID]
    ) -> [(prefix: Int, suffix: Int)] {
        let frozen = cut(active: [], activeNodes: activeNodes, outputs: outputs)
        let isVariable = Set(frozen.prefix)
        var readers = [[Int]](repeating: [], count: values.count)
        for index in frozen.prefix + frozen.constant {
            for case let id? in nodes[index].inputs { readers[id].append(index) }
        }
        let results = nodes.map { $0.outputs.compactMap { $0 } }
        // The last group that reached a node.
        var reached = [Int](repeating: -1, count: nodes.count)
        return groups.enumerated().map { group, active in
            var (prefix, suffix) = (frozen.prefix.count, frozen.suffix.count)
            var stack = active
            while let id = stack.popLast() {
                for index in readers[id] where reached[index] != group {
                    reached[index] = group
                    suffix += 1
                    if isVariable.contains(index) { prefix -= 1 }
                    stack.append(contentsOf: results[index])
                }
            }
            return (prefix, suffix)
        }
    }

    /// Nodes that `ids` depend on.
    public func nodesNeeded(for ids: [ValueID]) -> Set<Int> {
        let producer = producers()
        var needed: Set<Int> = []
        var stack = ids
        while let id = stack.popLast() {
            guard let node = producer[id], needed.insert(node).inserted else { continue }
            stack.append(contentsOf: nodes[node].inputs.compactMap { $0 })
        }
        return needed
    }

    /// Every constant: those given (the graph's own by default) and what the `constant` part of a cut makes of them.
    public func computeConstants(
        _ nodeIndices: [Int], from given: [ValueID: NDArray]? = nil
    ) throws -> [ValueID: NDArray] {
        var known = given ?? constants
        for index in nodeIndices {
            let node = nodes[index]
            do {
                let results = try node.op.forward(node.inputs.map { $0.flatMap { known[$0] } })
                for (id, array) in zip(node.outputs, results) { if let id { known[id] = array } }
            } catch {
                throw GraphError(node, error)
            }
        }
        return known
    }
}
