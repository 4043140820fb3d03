import Operators
import TensorCore

extension Graph {
    /// The graph for batches of any size, made of one whose file fixes the batch: shapes that hold the file's batch size become
    /// "as many as there are", and constants that an exporter stretched to it are stretched when it runs.
    ///
    /// Nothing is changed when the file leaves the batch open, or when its nodes take any batch as they are; what cannot be
    /// opened stays, and shows in the relations of the result.
    ///
    /// - `wanted`: the values that must be rows of pictures afterwards.
    public func withOpenBatch(
        imageSize: (height: Int, width: Int)? = nil, for wanted: [ValueID]? = nil
    ) throws -> Graph {
        guard let batch = fixedBatch, batch > 0 else { return self }
        let goals = wanted ?? outputs
        func isOpen(_ graph: Graph) -> Bool {
            guard let relations = try? BatchRelations(graph, imageSize: imageSize) else { return false }
            return goals.contains { relations.axis($0) != nil }
        }
        if isOpen(self) { return self }
        var opening = try BatchOpening(self, batch: batch, imageSize: imageSize)
        return opening.opened(goals: goals)
    }
}

/// One opening on its way.
///
/// At one batch size a shape does not tell which axis counts the pictures: `[17, 768]` may be 17 places of one picture's tokens
/// or one row of 17. So every value has several candidates, the rules of operators tell which go together, and what the
/// wanted values need decides backwards.
private struct BatchOpening {
    let graph: Graph
    let batch: Int
    let infos: [ValueInfo?]
    /// Of values of pictures.
    private var candidates: [ValueID: [PictureAxis]] = [:]
    /// What each candidate of a node's result was made of: candidates of the node's operands.
    private var origins: [Choice: [ValueID: PictureAxis]] = [:]
    private var isConstant: Set<ValueID>

    private struct Choice: Hashable {
        var value: ValueID
        var axis: PictureAxis
    }

    /// Candidates of one value, and combinations of a node's operands, that are looked at.
    private static let limit = (candidates: 6, combinations: 36)

    init(_ graph: Graph, batch: Int, imageSize: (height: Int, width: Int)?) throws {
        self.graph = graph
        self.batch = batch
        infos = try graph.infer(graph.inputInfos(batch: batch, imageSize: imageSize))
        isConstant = Set(graph.constants.keys)
        if let input = graph.inputs.first, infos[input]?.shape.first == batch { candidates[input] = [PictureAxis()] }
        for node in graph.nodes { relate(node) }
    }

    // MARK: - Candidates

    private mutating func relate(_ node: Graph.Node) {
        let reads = node.inputs.compactMap { $0 }, makes = node.outputs.compactMap { $0 }
        let isKnown = makes.allSatisfy { infos[$0]?.value != nil }
        if reads.allSatisfy(isConstant.contains) || isKnown {
            isConstant.formUnion(makes)
            return
        }
        guard reads.allSatisfy({ isConstant.contains($0) || candidates[$0] != nil }) else { return }
        for combination in combinations(reads) {
            for (position, id) in node.outputs.enumerated() {
                guard let id, let rank = infos[id]?.shape.count else { continue }
                for preferred in 0..<max(rank, 1) {
                    guard let axis = relation(node, position, combination, preferred) else { continue }
                    let known = candidates[id] ?? []
                    guard !known.contains(axis), known.count < Self.limit.candidates else { continue }
                    candidates[id] = known + [axis]
                    origins[Choice(value: id, axis: axis)] = combination
                }
            }
        }
    }

    private func combinations(_ reads: [ValueID]) -> [[ValueID: PictureAxis]] {
        var result: [[ValueID: PictureAxis]] = [[:]]
        for id in Set(reads).sorted() {
            guard let axes = candidates[id] else { continue }
            result = result.flatMap { known in axes.map { axis in known.merging([id: axis]) { $1 } } }
            result = Array(result.prefix(Self.limit.combinations))
        }
        return result
    }

    private func relation(
        _ node: Graph.Node, _ output: Int, _ combination: [ValueID: PictureAxis], _ preferred: Int
    ) -> PictureAxis? {
        var operands: [BatchOperands.Operand?] = []
        for id in node.inputs {
            guard let id else {
                operands.append(nil)
                continue
            }
            guard let info = infos[id] else { return nil }
            let relation = combination[id].map { BatchRelation.images($0) } ?? .constant
            operands.append(.init(relation, info.shape, value: info.value))
        }
        let shapes = node.outputs.map { id in id.flatMap { infos[$0]?.shape } ?? [] }
        var asked = BatchOperands(pictures: batch, inputs: operands, outputs: shapes)
        asked.preferredAxis = preferred
        guard let axis = node.op.relation(asked, output: output).pictures, shapes[output].indices.contains(axis.axis),
            shapes[output][axis.axis] == axis.size(batch)
        else { return nil }
        return axis
    }

    // MARK: - Decision

    /// The axis of every value that the goals need, or nil where the candidates do not agree.
    private func decide(_ goals: [ValueID]) -> [ValueID: PictureAxis]? {
        var decided: [ValueID: PictureAxis] = [:]
        var waiting: [Choice] = []
        for goal in goals {
            guard let axes = candidates[goal] else { continue }
            guard let leading = axes.first(where: \.isLeading) ?? axes.first else { continue }
            waiting.append(Choice(value: goal, axis: leading))
        }
        while let choice = waiting.popLast() {
            if let known = decided[choice.value] {
                if known == choice.axis { continue }
                return nil
            }
            decided[choice.value] = choice.axis
            for (id, axis) in origins[choice] ?? [:] { waiting.append(Choice(value: id, axis: axis)) }
        }
        return decided
    }

    // MARK: - Rewriting

    mutating func opened(goals: [ValueID]) -> Graph {
        guard let decided = decide(goals) else { return graph }
        var result = graph
        result.nodes = []
        for node in graph.nodes {
            var node = node
            var before: [Graph.Node] = []
            rewrite(&node, decided, &result, &before)
            result.nodes += before + [node]
        }
        return result
    }

    private func rewrite(
        _ node: inout Graph.Node, _ decided: [ValueID: PictureAxis], _ result: inout Graph, _ before: inout [Graph.Node]
    ) {
        guard case let output?? = node.outputs.first, let axis = decided[output], let shape = infos[output]?.shape
        else {
            return
        }
        switch node.opType {
        case Op.Reshape.opType, Op.Expand.opType: openTarget(&node, axis, shape, &result)
        case Op.Concat.opType: stretchConstants(&node, axis, decided, &result, &before)
        case Op.Gather.opType: openIndices(&node, axis, decided, &result, &before)
        default: break
        }
    }

    /// Puts -1 (or 1, for a shape to stretch to) where a constant target counts pictures.
    private func openTarget(_ node: inout Graph.Node, _ axis: PictureAxis, _ shape: [Int], _ result: inout Graph) {
        guard node.inputs.count == 2, let given = node.inputs[1], isConstant.contains(given),
            var target = infos[given]?.value?.integers(), target.count == shape.count
        else { return }
        if node.opType == Op.Expand.opType {
            target[axis.axis] = 1
        } else {
            // Every other size is as it came out, so that one may follow from the number of elements.
            target = shape
            target[axis.axis] = -1
            guard !target.contains(0) else { return }
            node.op = Op.Reshape()
        }
        node.inputs[1] = constant(NDArray(target), "\(graph.values[given].name) with open batch", &result)
        node.attributes = node.attributes.map { NodeAttributes(opType: $0.opType, opset: $0.opset, inputCount: 2) }
    }

    private func constant(_ array: NDArray, _ name: String, _ result: inout Graph) -> ValueID {
        let id = result.addValue(name)
        result.constants[id] = array
        return id
    }

    private func add(
        _ op: any Operator, _ inputs: [ValueID], _ attributes: [String: AttributeValue], _ name: String,
        _ result: inout Graph, _ before: inout [Graph.Node]
    ) -> ValueID {
        let output = result.addValue(name)
        let made = NodeAttributes(
            opType: type(of: op).opType, opset: OperatorSet.newest, inputCount: inputs.count, attributes)
        before.append(Graph.Node(name: name, op: op, inputs: inputs, outputs: [output], attributes: made))
        return output
    }

    /// Constants of one picture that are joined with pictures: a class token. They are stretched to as many as the pictures.
    private func stretchConstants(
        _ node: inout Graph.Node, _ axis: PictureAxis, _ decided: [ValueID: PictureAxis], _ result: inout Graph,
        _ before: inout [Graph.Node]
    ) {
        guard axis.repeats == 1, axis.rows == 1, batch == 1,
            let pictures = node.inputs.compactMap({ $0 }).first(where: { decided[$0] != nil })
        else { return }
        for (position, id) in node.inputs.enumerated() {
            guard let id, isConstant.contains(id), let shape = infos[id]?.shape, shape[axis.axis] == 1 else { continue }
            let name = "\(graph.values[id].name) for every picture"
            let sizes = add(Op.Shape(), [pictures], [:], "\(name): sizes", &result, &before)
            let index = constant(NDArray([axis.axis]), "\(name): axis", &result)
            let count = add(Op.Gather(), [sizes, index], [:], "\(name): count", &result, &before)
            let ones = shape.indices.map { $0 == axis.axis ? count : constant(NDArray([1]), "\(name): one", &result) }
            let target = add(
                Op.Concat(axis: 0), ones, ["axis": .int(0)], "\(name): target", &result, &before)
            node.inputs[position] = add(Op.Expand(), [id, target], [:], name, &result, &before)
        }
    }

    /// Indices into all elements of one picture become indices along an axis behind the pictures'.
    private func openIndices(
        _ node: inout Graph.Node, _ axis: PictureAxis, _ decided: [ValueID: PictureAxis], _ result: inout Graph,
        _ before: inout [Graph.Node]
    ) {
        guard batch == 1, axis.isLeading, let x = node.inputs[0], let given = node.inputs[1],
            let source = decided[x], source.axis == 0, source.repeats == 1, infos[x]?.shape.count == 1,
            let indices = infos[given]?.value, indices.rank > 1, indices.shape[0] == 1
        else { return }
        let name = "\(node.name) for every picture"
        let target = constant(NDArray([-1, source.rows]), "\(name): shape", &result)
        let rows = add(Op.Reshape(), [x, target], [:], "\(name): rows", &result, &before)
        let own = constant(indices.reshaped(Array(indices.shape.dropFirst())), "\(name): indices", &result)
        node.inputs = [rows, own]
        node.op = Op.Gather(axis: 1)
        node.attributes = NodeAttributes(
            opType: Op.Gather.opType, opset: OperatorSet.newest, inputCount: 2, ["axis": .int(1)])
    }
}
