import Operators
import TensorCore

extension Graph {
    /// The value that classes are decided by: what enters the Softmax or LogSoftmax before an output, or the output itself.
    ///
    /// The output is the one called `name`, which may also be a value inside of the graph. Without a name it is the first that
    /// holds a row of scores for each picture; where a later one is computed from it by further layers, as logits are from
    /// features, that one.
    ///
    /// - `imageSize`: of the pictures, where the file leaves it open.
    /// - Throws: `GraphError` for a name that the graph does not have.
    public func logitsValue(
        named name: String? = nil, imageSize: (height: Int, width: Int)? = nil
    ) throws -> ValueID {
        if let name { return beforeSoftmax(try computedValue(named: name)) }
        guard let first = outputs.first else { throw GraphError("the graph", "has no output") }
        guard outputs.count > 1 else { return beforeSoftmax(first) }
        guard
            let relations = (try? BatchRelations(self, imageSize: imageSize))
                ?? (try? BatchRelations(self, imageSize: imageSize, closedBatch: fixedBatch ?? 1))
        else { return beforeSoftmax(first) }
        let rows = outputs.map(beforeSoftmax).filter { isRowOfScores($0, relations) }
        guard var chosen = rows.first else { return beforeSoftmax(first) }
        let parametric = Set(layers().flatMap(\.nodes))
        for later in rows.dropFirst() where isComputed(later, from: chosen, through: parametric) { chosen = later }
        return chosen
    }

    private func computedValue(named name: String) throws -> ValueID {
        if let id = value(named: name), constants[id] == nil, producers()[id] != nil { return id }
        let names = outputs.map { "'\(values[$0].name)'" }.joined(separator: ", ")
        throw GraphError("the graph", "computes no value '\(name)'; its outputs are \(names)")
    }

    private func beforeSoftmax(_ output: ValueID) -> ValueID {
        let producer = producers()
        var current = output
        while let index = producer[current],
            ["Softmax", "LogSoftmax", "Identity", "Cast"].contains(nodes[index].opType),
            let next = nodes[index].inputs.first ?? nil, constants[next] == nil
        {
            current = next
        }
        return current
    }

    /// True for `[N, classes]` with at least two classes, axes of size 1 aside.
    private func isRowOfScores(_ id: ValueID, _ relations: BatchRelations) -> Bool {
        guard let axis = relations.axis(id), axis.isLeading, let sizes = relations.shapes[id]?.dropFirst(),
            values[id].declared?.dtype.isFloatingPoint ?? true
        else { return false }
        return sizes.reduce(1, *) == sizes.max() && sizes.max() ?? 0 >= 2
    }

    /// True where `from` is needed for `later`, and a node of `parametric` comes between them.
    private func isComputed(_ later: ValueID, from: ValueID, through parametric: Set<Int>) -> Bool {
        guard later != from, let origin = producers()[from] else { return false }
        let behind = nodesNeeded(for: [later])
        return behind.contains(origin)
            && !behind.subtracting(nodesNeeded(for: [from])).isDisjoint(with: parametric)
    }
}
