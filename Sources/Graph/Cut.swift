import Operators
import TensorCore

/// A graph divided where training enters.
///
/// A node is *trainable* if it reads an active value or the output of such a node. What the trainable nodes read of the others
/// crosses the boundary, which holds values of pictures only: each can be kept, shuffled and split by picture. A frozen node
/// whose result is not such a value lies behind the boundary too, and so the boundary moves towards the pictures; at worst it
/// is the pictures themselves.
public struct Cut: Sendable {
    /// Frozen nodes that make the values at the boundary, in execution order: run without autograd.
    public var prefix: [Int]
    /// Nodes behind the boundary, in execution order: trainable ones, and frozen ones that record nothing.
    public var suffix: [Int]
    /// Nodes whose inputs are all constant: computed once.
    public var constant: [Int]
    /// Nodes whose results depend on the number of pictures and not on what they show: computed for each batch size, in
    /// execution order.
    public var counted: [Int]
    /// Values that the prefix (or the caller) hands to the suffix, and outputs that need no suffix.
    public var boundary: [ValueID]

    public init(
        prefix: [Int] = [], suffix: [Int] = [], constant: [Int] = [], counted: [Int] = [], boundary: [ValueID] = []
    ) {
        self.prefix = prefix
        self.suffix = suffix
        self.constant = constant
        self.counted = counted
        self.boundary = boundary
    }
}

extension Graph {
    /// Cuts at `active` values (unfrozen parameters) and `activeNodes` (nodes that behave differently while training:
    /// dropout, batch norm with batch statistics). Nodes that no output needs are in no part.
    ///
    /// - `wanted`: the values to compute; the graph's outputs by default.
    /// - `relations`: what values are to the batch; without them every value may cross the boundary, and the parts are to be
    ///   run on whole batches of one size only.
    public func cut(
        active: Set<ValueID>, activeNodes: Set<Int> = [], outputs wanted: [ValueID]? = nil,
        relations: BatchRelations? = nil
    ) -> Cut {
        var cutter = Cutter(self, active, activeNodes, wanted ?? outputs, relations)
        return cutter.cut()
    }

    /// How many frozen and trainable nodes a cut has for each of `groups` of active values, in much less time than as many cuts
    /// take. Frozen ones behind the boundary count as frozen.
    public func cutSizes(
        _ groups: [[ValueID]], activeNodes: Set<Int> = [], outputs: [ValueID]
    ) -> [(frozen: Int, trainable: Int)] {
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
    ///
    /// - `relations`: with them, nodes whose results are known from sizes, and those that only tell sizes, need nothing.
    public func nodesNeeded(for ids: [ValueID], relations: BatchRelations? = nil) -> Set<Int> {
        let producer = producers()
        var needed: Set<Int> = []
        var stack = ids
        while let id = stack.popLast() {
            guard relations?.known[id] == nil, let node = producer[id], needed.insert(node).inserted else { continue }
            if relations != nil, type(of: nodes[node].op).readsShapesOnly { continue }
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

/// One cut on its way.
private struct Cutter {
    let graph: Graph
    let outputs: [ValueID]
    let relations: BatchRelations?
    let producers: [ValueID: Int]
    private let activeNodes: Set<Int>
    private var onTape: Set<ValueID>
    private var isConstant: Set<ValueID>
    private var isCounted: Set<ValueID> = []
    /// Values that pictures are needed for.
    private var isSeen: Set<ValueID>

    init(
        _ graph: Graph, _ active: Set<ValueID>, _ activeNodes: Set<Int>, _ outputs: [ValueID],
        _ relations: BatchRelations?
    ) {
        self.graph = graph
        self.outputs = outputs
        self.relations = relations
        self.activeNodes = activeNodes
        producers = graph.producers()
        onTape = active
        isConstant = Set(graph.constants.keys).subtracting(active)
        if let relations { isConstant.formUnion(relations.known.keys) }
        isSeen = Set(graph.inputs)
    }

    mutating func cut() -> Cut {
        var cut = Cut()
        var behind: Set<Int> = []
        for index in graph.nodesNeeded(for: outputs, relations: relations).sorted() {
            let node = graph.nodes[index]
            let reads = node.inputs.compactMap { $0 }, makes = node.outputs.compactMap { $0 }
            if relations != nil && makes.allSatisfy(isConstant.contains) && !makes.isEmpty { continue }
            if isCountedNode(node) {
                cut.counted.append(index)
                isCounted.formUnion(makes)
            } else if activeNodes.contains(index) || reads.contains(where: onTape.contains) {
                behind.insert(index)
                onTape.formUnion(makes)
            } else if reads.allSatisfy(isConstant.contains) {
                cut.constant.append(index)
                isConstant.formUnion(makes)
            } else if reads.contains(where: isSeen.contains) {
                isSeen.formUnion(makes)
            }
        }
        cut.boundary = boundary(&behind)
        cut.suffix = behind.sorted()
        cut.prefix = prefix(of: cut.boundary)
        return cut
    }

    /// A node of sizes and counts: nothing that pictures show, and nothing that trains, goes in.
    private func isCountedNode(_ node: Graph.Node) -> Bool {
        guard let relations, node.outputs.allSatisfy({ $0.map { relations.relation[$0] == .counted } ?? true }) else {
            return false
        }
        return type(of: node.op).readsShapesOnly
            || node.inputs.allSatisfy { id in id.map { isConstant.contains($0) || isCounted.contains($0) } ?? true }
    }

    /// What crosses, moving frozen nodes whose results may not cross behind the boundary.
    private func boundary(_ behind: inout Set<Int>) -> [ValueID] {
        var crossing: Set<ValueID> = []
        var waiting = behind.flatMap { graph.nodes[$0].inputs.compactMap { $0 } } + outputs
        while let id = waiting.popLast() {
            if onTape.contains(id) || isConstant.contains(id) || isCounted.contains(id) || crossing.contains(id) {
                continue
            }
            if mayCross(id) {
                crossing.insert(id)
            } else if let index = producers[id], behind.insert(index).inserted {
                waiting += graph.nodes[index].inputs.compactMap { $0 }
            }
        }
        // In the order in which they are read.
        var seen: Set<ValueID> = []
        let readers = behind.sorted().flatMap { graph.nodes[$0].inputs.compactMap { $0 } } + outputs
        return readers.filter { crossing.contains($0) && seen.insert($0).inserted }
    }

    private func mayCross(_ id: ValueID) -> Bool {
        guard let relations else { return true }
        // What no picture is needed for is made again.
        return producers[id] == nil || (relations.axis(id) != nil && isSeen.contains(id))
    }

    private func prefix(of boundary: [ValueID]) -> [Int] {
        var needed: Set<Int> = []
        var waiting = boundary
        while let id = waiting.popLast() {
            if isConstant.contains(id) || isCounted.contains(id) { continue }
            guard let index = producers[id], needed.insert(index).inserted else { continue }
            waiting += graph.nodes[index].inputs.compactMap { $0 }
        }
        return needed.sorted()
    }
}
