/// Replaces calls of a model's own functions by the functions' nodes.
struct FunctionInliner {
    /// Calls may nest this deep; a function that calls itself never gets there.
    private static let maximumDepth = 16
    /// Nodes after inlining.
    private static let maximumNodes = 1_000_000

    private let model: ModelProto
    private let file: String
    private var functions: [String: FunctionProto] = [:]
    private var result: [NodeProto] = []
    private var callCount = 0

    init(model: ModelProto, file: String) {
        self.model = model
        self.file = file
        for function in model.functions { functions[FunctionInliner.key(function.domain, function.name)] = function }
    }

    private static func key(_ domain: String, _ name: String) -> String { "\(standardDomain(domain))::\(name)" }

    /// The graph's nodes in execution order, no call of a model function among them.
    func inlined() throws -> [NodeProto] {
        let order = try model.graph.topologicalOrder(file: file)
        let nodes = order.map { model.graph.nodes[$0] }
        guard !functions.isEmpty else { return nodes }
        var inliner = self
        for node in nodes { try inliner.expand(node, depth: 0) }
        return inliner.result
    }

    private mutating func expand(_ node: NodeProto, depth: Int) throws {
        guard let function = functions[FunctionInliner.key(node.domain, node.opType)] else {
            result.append(node)
            guard result.count <= FunctionInliner.maximumNodes else {
                throw refusal("its functions expand to too many nodes")
            }
            return
        }
        guard depth < FunctionInliner.maximumDepth else {
            throw refusal("function '\(function.name)' nests too deeply")
        }
        if let own = function.opsetImports.version(of: ""), let models = model.opsetVersion(), own != models {
            throw refusal("function '\(function.name)' uses operator set \(own), the model \(models)")
        }
        callCount += 1
        let prefix = "\(function.name)_\(callCount)/"
        var names: [String: String] = [:]
        for (formal, actual) in zip(function.inputs, node.inputs) { names[formal] = actual }
        for formal in function.inputs.dropFirst(node.inputs.count) { names[formal] = "" }
        for (formal, actual) in zip(function.outputs, node.outputs) where !actual.isEmpty { names[formal] = actual }
        var arguments: [String: AttributeValue] = [:]
        for attribute in function.attributes { arguments[attribute.name] = attribute.value }
        for attribute in node.attributes { arguments[attribute.name] = attribute.value }

        for inner in function.nodes {
            var copy = inner
            copy.name = prefix + inner.name
            copy.inputs = inner.inputs.map { $0.isEmpty ? "" : names[$0] ?? prefix + $0 }
            copy.outputs = inner.outputs.map { $0.isEmpty ? "" : names[$0] ?? prefix + $0 }
            copy.attributes = inner.attributes.compactMap { attribute in
                guard case .reference(let name) = attribute.value else { return attribute }
                // A reference to an argument that was not given leaves the attribute at its default.
                return arguments[name].map { AttributeProto(name: attribute.name, value: $0) }
            }
            copy.metadataProps = inner.metadataProps + node.metadataProps
            try expand(copy, depth: depth + 1)
        }
    }

    private func refusal(_ reason: String) -> ONNXError { ONNXError(file, .invalidModel, reason) }
}
