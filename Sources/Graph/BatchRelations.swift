import Operators
import TensorCore

/// What every value of a graph is to the batch of pictures, for pictures of one size.
public struct BatchRelations: Sendable {
    /// By value.
    public private(set) var relation: [BatchRelation]
    /// Shapes for a batch of `pictures`; nil for a value that no shape is known of.
    public let shapes: [[Int]?]
    public let pictures: Int
    /// Values that follow from the sizes of pictures and not from their number, such as those behind `Shape`: constants.
    public private(set) var known: [ValueID: NDArray] = [:]
    /// The only batch size that the graph is computed with; nil where any will do.
    public let closedBatch: Int?
    public let imageSize: (height: Int, width: Int)?

    /// Batch sizes that rules are asked at. What grows with the pictures differs between them.
    private static let samples = (3, 5)

    /// Asks the rules of the graph's operators.
    ///
    /// - `closedBatch`: the only batch size that the graph is to be computed with, or nil for any.
    /// - Throws: `GraphError` naming the first node that cannot take a batch of that size, or one of several sizes.
    public init(
        _ graph: Graph, imageSize: (height: Int, width: Int)? = nil, closedBatch: Int? = nil
    ) throws {
        let sizes = closedBatch.map { [$0] } ?? [BatchRelations.samples.0, BatchRelations.samples.1]
        let infos = try sizes.map { try graph.infer(graph.inputInfos(batch: $0, imageSize: imageSize)) }
        self.closedBatch = closedBatch
        self.imageSize = imageSize
        pictures = sizes[0]
        shapes = infos[0].map { $0?.shape }
        relation = [BatchRelation](repeating: .mixed, count: graph.values.count)
        for id in graph.constants.keys { relation[id] = .constant }
        if let input = graph.inputs.first, shapes[input]?.first == pictures {
            relation[input] = .images(PictureAxis())
        }
        // Beside the pictures, inputs are nothing that can be taken apart.
        for node in graph.nodes { relate(node, graph, sizes, infos) }
        if closedBatch == nil { checkOnePicture(graph) }
    }

    private mutating func relate(_ node: Graph.Node, _ graph: Graph, _ sizes: [Int], _ infos: [[ValueInfo?]]) {
        let reads = node.inputs.compactMap { $0 }, outputs = node.outputs.compactMap { $0 }
        let isFree = type(of: node.op).readsShapesOnly
        if reads.allSatisfy({ relation[$0] == .constant }) {
            for id in outputs { relation[id] = .constant }
            return
        }
        if !isFree && reads.contains(where: { relation[$0] == .mixed }) { return }
        let batches = sizes.indices.map { operands(node, sizes, infos, $0) }
        for (position, id) in node.outputs.enumerated() {
            guard let id else { continue }
            let found = batches.map { $0.map { BatchRelations.ask(node.op, $0, position) } ?? .mixed }
            relation[id] = found.dropFirst().reduce(found[0], BatchRelations.joined)
        }
        let isSettled = isFree || reads.allSatisfy { isFromSizes($0, graph) }
        for id in outputs where relation[id] == .counted && isSettled {
            let values = infos.map { $0[id]?.value }
            guard let first = values[0], values.dropFirst().allSatisfy({ $0?.isBitIdentical(to: first) == true }) else {
                continue
            }
            known[id] = first
            relation[id] = .constant
        }
    }

    /// What the rule says, if it fits the result's shape.
    private static func ask(_ op: any Operator, _ batch: BatchOperands, _ output: Int) -> BatchRelation {
        let relation = op.relation(batch, output: output)
        guard let axis = relation.pictures else { return relation }
        let shape = batch.outputs[output]
        return shape.indices.contains(axis.axis) && shape[axis.axis] == axis.size(batch.pictures) ? relation : .mixed
    }

    /// True for what sizes decide, and constants that are not weights.
    private func isFromSizes(_ id: ValueID, _ graph: Graph) -> Bool {
        if known[id] != nil || relation[id] == .counted { return true }
        guard let constant = graph.constants[id] else { return false }
        return !constant.dtype.isFloatingPoint || constant.count == 1 || graph.constantNodeValues.contains(id)
    }

    private static func joined(_ a: BatchRelation, _ b: BatchRelation) -> BatchRelation {
        if a == b { return a }
        let isCounted = [a, b].allSatisfy { $0 == .constant || $0 == .counted }
        return isCounted ? .counted : .mixed
    }

    /// The operands of a node at one of the sizes; nil where a shape is not known.
    private func operands(
        _ node: Graph.Node, _ sizes: [Int], _ infos: [[ValueInfo?]], _ index: Int
    ) -> BatchOperands? {
        func shapes(_ infos: [ValueInfo?]) -> [[Int]]? {
            let known = node.outputs.map { id in id.map { infos[$0]?.shape } ?? [] }
            return known.contains { $0 == nil } ? nil : known.compactMap { $0 }
        }
        guard let outputs = shapes(infos[index]) else { return nil }
        var inputs: [BatchOperands.Operand?] = []
        for id in node.inputs {
            guard let id else {
                inputs.append(nil)
                continue
            }
            guard let info = infos[index][id] else { return nil }
            inputs.append(.init(relation[id], info.shape, value: known[id] ?? info.value))
        }
        let other = sizes.indices.first { $0 != index }
        let elsewhere = other.flatMap { other in shapes(infos[other]).map { (pictures: sizes[other], outputs: $0) } }
        return BatchOperands(pictures: sizes[index], inputs: inputs, outputs: outputs, elsewhere: elsewhere)
    }

    /// With one picture, axes of one place may be dropped or joined that are none with several: such values are `mixed`.
    private mutating func checkOnePicture(_ graph: Graph) {
        let infos = (try? graph.inputInfos(batch: 1, imageSize: imageSize)).map { graph.inferred($0).infos }
        for (id, found) in relation.enumerated() {
            guard let axis = found.pictures, let shape = shapes[id] else { continue }
            if infos?[id]?.shape != axis.shape(shape, pictures: 1) { relation[id] = .mixed }
        }
    }

    /// Where the pictures of a value lie; nil unless it is one of `images`.
    public func axis(_ id: ValueID) -> PictureAxis? { relation[id].pictures }

    /// The shape of a value of pictures, for so many of them.
    public func shape(_ id: ValueID, pictures: Int) -> [Int]? {
        guard let axis = axis(id) else { return nil }
        return shapes[id].map { axis.shape($0, pictures: pictures) }
    }
}

extension Graph {
    /// Values of nodes whose results depend on the number of pictures and on sizes alone, for a batch of `pictures`.
    ///
    /// - `constants`: what the nodes read of constants.
    public func countedValues(
        _ nodeIndices: [Int], pictures: Int, relations: BatchRelations, constants: [ValueID: NDArray]
    ) throws -> [ValueID: NDArray] {
        guard !nodeIndices.isEmpty else { return [:] }
        let infos = try infer(inputInfos(batch: pictures, imageSize: relations.imageSize))
        var known: [ValueID: NDArray] = [:]
        for index in nodeIndices {
            let node = nodes[index]
            let inferred = node.outputs.map { $0.flatMap { infos[$0]?.value } }
            var results = inferred.compactMap { $0 }
            if results.count < node.outputs.count {
                do {
                    results = try node.op.forward(node.inputs.map { $0.flatMap { known[$0] ?? constants[$0] } })
                } catch {
                    throw GraphError(node, error)
                }
            }
            for (id, array) in zip(node.outputs, results) { if let id { known[id] = array } }
        }
        return known
    }
}
