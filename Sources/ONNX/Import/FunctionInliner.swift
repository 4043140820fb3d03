/// Replaces calls of a model's own functions by the functions' nodes.
struct FunctionInliner {
    /// Calls may nest this deep; a function that calls itself never gets there.
    private static let maximumDepth = 16
    /// Calls and copied nodes, and bytes of names and attributes in them: a few functions that call each other describe
    /// millions.
    private static let maximumNodes = 100_000
    private static let maximumBytes = 64 << 20

    private let model: ModelProto
    private let file: String
    private var functions: [String: FunctionProto] = [:]
    private var result: [NodeProto] = []
    /// Names of the graph's own values and of those that calls have made.
    private var taken: Set<String> = []
    private var callCount = 0
    private var spent = (nodes: 0, bytes: 0)

    init(model: ModelProto, file: String) {
        self.model = model
        self.file = file
        for function in model.functions {
            functions[FunctionInliner.key(function.domain, function.name, function.overload)] = function
        }
        guard !functions.isEmpty else { return }
        let graph = model.graph
        taken.formUnion((graph.inputs + graph.outputs + graph.valueInfo).map(\.name))
        taken.formUnion(graph.initializers.map(\.name))
        for node in graph.nodes { taken.formUnion(node.outputs) }
    }

    private static func key(_ domain: String, _ name: String, _ overload: String) -> String {
        "\(standardDomain(domain))::\(name)::\(overload)"
    }

    /// The graph's nodes in execution order, no call of a model function among them.
    func inlined() throws -> [NodeProto] {
        let order = try model.graph.topologicalOrder(file: file)
        let nodes = order.map { position in
            var node = model.graph.nodes[position]
            node.position = position
            return node
        }
        guard !functions.isEmpty else { return nodes }
        var inliner = self
        for node in nodes { try inliner.expand(node, depth: 0) }
        return inliner.result
    }

    private mutating func expand(_ node: NodeProto, depth: Int) throws {
        guard let function = functions[FunctionInliner.key(node.domain, node.opType, node.overload)] else {
            result.append(node)
            return
        }
        guard depth < FunctionInliner.maximumDepth else {
            throw refusal("function '\(function.name)' nests too deeply")
        }
        if let own = function.opsetImports.version(of: ""), let models = model.opsetVersion(), own != models {
            throw refusal("function '\(function.name)' uses operator set \(own), the model \(models)")
        }
        let prefix = try freePrefix(function)
        try charge(function, prefix, node)
        var names: [String: String] = [:]
        for (formal, actual) in zip(function.inputs, node.inputs) { names[formal] = actual }
        for formal in function.inputs.dropFirst(node.inputs.count) { names[formal] = "" }
        for (formal, actual) in zip(function.outputs, node.outputs) where !actual.isEmpty {
            if let input = names[formal] {
                // An input that is handed back.
                result.append(NodeProto(name: prefix, opType: "Identity", inputs: [input], outputs: [actual]))
            } else {
                names[formal] = actual
            }
        }
        var arguments: [String: AttributeValue] = [:]
        for attribute in function.attributes { arguments[attribute.name] = attribute.value }
        for attribute in node.attributes { arguments[attribute.name] = attribute.value }

        let scope = ScopeName.entry(in: node.metadataProps)
        for inner in function.nodes {
            var copy = inner.renamed({ names[$0] ?? prefix + $0 }) { attribute in
                guard case .reference(let name) = attribute.value else { return attribute }
                // A reference to an argument that was not given leaves the attribute at its default.
                return arguments[name].map { AttributeProto(name: attribute.name, value: $0) }
            }
            copy.name = prefix + inner.name
            // All of the metadata that import reads; the rest would be copied to every node.
            copy.metadataProps = [ScopeName.entry(in: inner.metadataProps) ?? scope].compactMap { $0 }
            try expand(copy, depth: depth + 1)
        }
    }

    /// A prefix under which no value of the function has a name that is taken; it takes them.
    private mutating func freePrefix(_ function: FunctionProto) throws -> String {
        let outputs = function.nodes.flatMap(\.outputs)
        while true {
            callCount += 1
            let prefix = "\(function.name)_\(callCount)/"
            // Every attempt counts: names that are made to collide ask for many.
            let bytes = length(outputs) + outputs.count * (prefix.utf8.count + 64)
            try spend(nodes: 1 + function.nodes.count, bytes: bytes)
            if outputs.contains(where: { taken.contains(prefix + $0) }) { continue }
            for output in outputs { taken.insert(prefix + output) }
            return prefix
        }
    }

    /// Counts what a call copies and looks up, before it does.
    private mutating func charge(_ function: FunctionProto, _ prefix: String, _ call: NodeProto) throws {
        let given = call.inputs + call.outputs
        let formal = function.inputs + function.outputs
        let attributes = function.attributes + call.attributes
        let imports = function.opsetImports.count + model.opsetImports.count
        let entries = given.count + formal.count + attributes.count + imports
        try spend(bytes: length(formal + attributes.map(\.name)) + entries * 64)
        // The most that a name of the function, a reference to an argument and the scope may become.
        let longest = given.reduce(prefix.utf8.count) { max($0, $1.utf8.count) }
        let argument = attributes.reduce(0) { max($0, $1.value.byteCount) }
        let scope = ScopeName.entry(in: call.metadataProps)?.value.utf8.count ?? 0
        for node in function.nodes {
            let names = [node.name] + node.inputs + node.outputs
            let words = [node.opType, node.domain, node.overload] + node.attributes.map(\.name)
            let own = ScopeName.entry(in: node.metadataProps)?.value.utf8.count ?? 0
            let values = node.attributes.reduce(0) { sum, attribute in
                if case .reference = attribute.value { return sum + argument }
                return sum + attribute.value.byteCount
            }
            try spend(bytes: length(names + words) + names.count * (longest + 16))
            try spend(bytes: (node.metadataProps.count + node.attributes.count) * 64 + values + max(scope, own))
        }
    }

    private func length(_ names: [String]) -> Int { names.reduce(0) { $0 + $1.utf8.count } }

    private mutating func spend(nodes: Int = 0, bytes: Int) throws {
        spent.nodes += nodes
        spent.bytes += bytes
        guard spent.nodes <= FunctionInliner.maximumNodes, spent.bytes <= FunctionInliner.maximumBytes else {
            throw refusal("its functions expand to too many nodes")
        }
    }

    private func refusal(_ reason: String) -> ONNXError { ONNXError(file, .invalidModel, reason) }
}

extension AttributeProto.Value {
    /// Bytes that a copy takes; tensors are shared.
    fileprivate var byteCount: Int {
        switch self {
        case .string(let value): value.utf8.count
        case .ints(let values): values.count * 8
        case .floats(let values): values.count * 4
        case .strings(let values): values.count * 16
        case .graph, .graphs:
            graphs.flatMap(\.allNodes).reduce(0) { sum, node in
                let names = node.inputs + node.outputs + [node.name]
                return sum + 256 + names.reduce(0) { $0 + $1.utf8.count + 64 } + node.attributes.count * 64
            }
        default: 0
        }
    }
}
