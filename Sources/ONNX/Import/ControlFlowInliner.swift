import GraphIR
import Operators
import TensorCore

/// Replaces `If` by the branch that is taken, and `Loop` by its iterations, where conditions and counts follow from constants
/// and from shapes that do not depend on the batch or on the size of the pictures.
///
/// Others stay, and are refused by name as operators that are not supported.
struct ControlFlowInliner {
    private static let maximumNodes = 100_000
    private static let maximumIterations = 1024
    private static let maximumDepth = 16
    /// A file of many conditions must not take for ever.
    private static let maximumSpent = 2_000_000

    let file: ModelFile
    /// Nodes in execution order, with what branches brought along.
    private(set) var nodes: [NodeProto] = []
    /// Initializers of the branches that were taken, and numbers of iterations.
    private(set) var initializers: [TensorProto] = []
    private var taken: Set<String> = []
    /// What each value is made by.
    private var producers: [String: Int] = [:]
    /// Names in graphs of attributes: a name that is made up must not be one, or a weight would go out under another's.
    private var inner: Set<String> = []
    private var inlinedCount = 0
    /// Nodes and constants looked at to tell values.
    private var spent = 0

    init(file: ModelFile, nodes given: [NodeProto]) throws {
        self.file = file
        guard given.contains(where: { ControlFlowInliner.isControlFlow($0) }) else {
            nodes = given
            return
        }
        let graph = file.model.graph
        taken = graph.definedNames
        for node in given {
            taken.formUnion(node.outputs)
            for graph in node.attributes.flatMap(\.value.graphs) {
                inner.formUnion(graph.definedNames)
                for node in graph.allNodes {
                    inner.formUnion(node.attributes.flatMap(\.value.graphs).flatMap(\.definedNames))
                }
            }
        }
        for node in given { try append(node, depth: 0) }
    }

    static func isControlFlow(_ node: NodeProto) -> Bool {
        standardDomain(node.domain).isEmpty && (node.opType == "If" || node.opType == "Loop")
    }

    private mutating func append(_ node: NodeProto, depth: Int) throws {
        guard nodes.count < ControlFlowInliner.maximumNodes else {
            throw ONNXError(file.path, .invalidModel, "its branches and loops expand to too many nodes")
        }
        if ControlFlowInliner.isControlFlow(node), depth < ControlFlowInliner.maximumDepth {
            if node.opType == "If" {
                if try inlineIf(node, depth: depth) { return }
            } else {
                let before = self
                if try inlineLoop(node, depth: depth) { return }
                // Iterations that went before the one that could not be told.
                self = before
            }
        }
        for output in node.outputs where !output.isEmpty { producers[output] = nodes.count }
        nodes.append(node)
    }

    private func body(_ node: NodeProto, _ name: String) -> GraphProto? {
        guard case .graph(let graph)? = node.attribute(name)?.value, graph.sparseInitializerNames.isEmpty else {
            return nil
        }
        return graph
    }

    private mutating func emit(
        _ opType: String, _ inputs: [String], _ output: String, _ attributes: [AttributeProto] = []
    ) {
        producers[output] = nodes.count
        nodes.append(
            NodeProto(name: output, opType: opType, inputs: inputs, outputs: [output], attributes: attributes))
    }

    private mutating func constant(_ name: String, _ array: NDArray) -> String {
        let name = unique(name)
        initializers.append(TensorProto(name: name, array: array))
        return name
    }

    private mutating func unique(_ name: String) -> String {
        var result = name
        while taken.contains(result) || (result != name && inner.contains(result)) {
            inlinedCount += 1
            result = "\(name)_\(inlinedCount)"
        }
        taken.insert(result)
        return result
    }

    // MARK: - If

    private mutating func inlineIf(_ node: NodeProto, depth: Int) throws -> Bool {
        guard let input = node.inputs.first, let condition = truth(of: input),
            let branch = body(node, condition ? "then_branch" : "else_branch"), branch.inputs.isEmpty,
            branch.outputs.count >= node.outputs.count
        else { return false }
        var names: [String: String] = [:]
        try add(branch, &names, keeping: initializerNames(branch), depth: depth)
        for (output, inner) in zip(node.outputs, branch.outputs) where !output.isEmpty {
            emit("Identity", [names[inner.name] ?? inner.name], output)
        }
        return true
    }

    /// Names of the branch's initializers among the values of the whole graph: their own where nothing else has them.
    private mutating func initializerNames(_ graph: GraphProto) -> [String: String] {
        var names: [String: String] = [:]
        for var tensor in graph.initializers {
            let name = unique(tensor.name)
            names[tensor.name] = name
            tensor.name = name
            initializers.append(tensor)
        }
        return names
    }

    /// Adds the nodes of a branch; `names` holds what its inputs are called, and afterwards what all of its values are.
    private mutating func add(
        _ graph: GraphProto, _ names: inout [String: String], keeping constants: [String: String], depth: Int
    ) throws {
        names.merge(constants) { $1 }
        for output in graph.nodes.flatMap(\.outputs) where !output.isEmpty { names[output] = unique(output) }
        let known = names
        for position in try graph.topologicalOrder(file: file.path) {
            try append(graph.nodes[position].renamed { known[$0] ?? $0 }, depth: depth + 1)
        }
    }

    // MARK: - Loop

    private mutating func inlineLoop(_ node: NodeProto, depth: Int) throws -> Bool {
        guard let body = body(node, "body"), node.inputs.count >= 2 else { return false }
        let carriedCount = node.inputs.count - 2
        guard body.inputs.count == carriedCount + 2, body.outputs.count >= carriedCount + 1 else { return false }
        let (countName, conditionName) = (node.inputs[0], node.inputs[1])
        var limit = ControlFlowInliner.maximumIterations
        if !countName.isEmpty {
            guard let count = value(of: countName)?.integers().first, count <= limit else { return false }
            limit = max(count, 0)
        }
        var condition = conditionName.isEmpty ? true : truth(of: conditionName)
        var condValue =
            conditionName.isEmpty ? constant("\(node.outputs[0])/condition", NDArray([true], shape: [])) : conditionName
        let constants = initializerNames(body)
        var carried = Array(node.inputs.dropFirst(2))
        var scans = [[String]](repeating: [], count: body.outputs.count - 1 - carriedCount)
        var iteration = 0
        while iteration < limit {
            guard let goesOn = condition else { return false }
            if !goesOn { break }
            guard iteration < ControlFlowInliner.maximumIterations else { return false }
            var names: [String: String] = [:]
            let number = constant("\(node.outputs[0])/iteration", NDArray([iteration], shape: []))
            for (input, actual) in zip(body.inputs, [number, condValue] + carried) { names[input.name] = actual }
            try add(body, &names, keeping: constants, depth: depth)
            let results = body.outputs.map { names[$0.name] ?? $0.name }
            condValue = results[0]
            condition = truth(of: condValue)
            carried = Array(results[1..<1 + carriedCount])
            for index in scans.indices { scans[index].append(results[1 + carriedCount + index]) }
            iteration += 1
        }
        if countName.isEmpty && condition != false { return false }
        for (output, result) in zip(node.outputs, carried) where !output.isEmpty { emit("Identity", [result], output) }
        for (output, pieces) in zip(node.outputs.dropFirst(carriedCount), scans) where !output.isEmpty {
            // The shape of a result of no iterations is not known.
            guard !pieces.isEmpty else { return false }
            stack(pieces, to: output)
        }
        return true
    }

    /// `output`: the values of the iterations along a new first axis.
    private mutating func stack(_ pieces: [String], to output: String) {
        let isInput = (file.model.opsetVersion() ?? 0) >= 13
        let axes = isInput ? [constant("\(output)/axes", NDArray([0]))] : []
        let attributes = isInput ? [] : [AttributeProto(name: "axes", value: .ints([0]))]
        let rows = pieces.map { piece in
            let row = unique("\(piece)/row")
            emit("Unsqueeze", [piece] + axes, row, attributes)
            return row
        }
        emit("Concat", rows, output, [AttributeProto(name: "axis", value: .int(0))])
    }

    // MARK: - Values that are known

    private mutating func truth(of name: String) -> Bool? {
        guard let value = value(of: name), value.count == 1 else { return nil }
        return value.doubles()[0] != 0
    }

    /// The value, if it is the same for any batch and size of pictures that the graph can be told for.
    private mutating func value(of name: String) -> NDArray? {
        let ancestors = ancestors(of: name)
        spent += ancestors.count + initializers.count + file.model.graph.initializers.count + 1
        guard spent < ControlFlowInliner.maximumSpent,
            let graph = try? GraphBuilder.part(of: file, nodes: ancestors, constants: initializers, output: name)
        else { return nil }
        let id = graph.outputs[0]
        if let constant = graph.constants[id] { return constant }
        // Other sizes than the file's may be given to the graph: the value must not follow them. Sizes that the graph does not
        // allow do not count.
        let given =
            [declaredInfos(graph), try? graph.inputInfos(batch: 1), try? graph.inputInfos(batch: 3)]
            + [(2, 224), (3, 256)].map { try? graph.inputInfos(batch: $0.0, imageSize: ($0.1, $0.1)) }
        let found = given.compactMap { $0.flatMap { try? graph.infer($0) }.map { $0[id]?.value } }
        guard let first = found.first, let result = first else { return nil }
        return found.allSatisfy({ $0?.isBitIdentical(to: result) == true }) ? result : nil
    }

    /// The inputs as the file declares them, where it leaves nothing open.
    private func declaredInfos(_ graph: Graph) -> [ValueID: ValueInfo]? {
        var infos: [ValueID: ValueInfo] = [:]
        for id in graph.inputs {
            guard let declared = graph.values[id].declared else { return nil }
            var shape: [Int] = []
            for dimension in declared.dimensions {
                guard case .fixed(let size) = dimension else { return nil }
                shape.append(size)
            }
            infos[id] = ValueInfo(declared.dtype, shape)
        }
        return infos
    }

    /// The nodes that a value is made by, in execution order.
    private func ancestors(of name: String) -> [NodeProto] {
        var pending = [name]
        var found: Set<Int> = []
        while let next = pending.popLast() {
            guard let index = producers[next], found.insert(index).inserted else { continue }
            pending += nodes[index].allReadNames
        }
        return found.sorted().map { nodes[$0] }
    }
}
