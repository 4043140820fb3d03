extension ModelProto {
    /// Checks that the parts fit together: operator sets are imported, every value has exactly one producer, every input
    /// exists, nothing depends on itself. `file` begins the errors' text.
    ///
    /// Operators' own rules (ranks, attribute types) are import's business.
    public func validate(file: String) throws {
        try checkOpsets(opsetImports, of: "the model", file: file)
        let check = GraphCheck(file: file, imports: opsetImports)
        try check.graph(graph, scopes: [], place: "")
        try checkFunctions(file: file)
    }

    private func checkOpsets(_ imports: [OperatorSetIdProto], of owner: String, file: String) throws {
        guard !imports.isEmpty else {
            throw ONNXError(file, .invalidModel, "\(owner) does not say which operator set it uses (opset_import)")
        }
        var seen: Set<String> = []
        for opset in imports {
            let name = opset.domain.isEmpty ? "ai.onnx" : opset.domain
            guard opset.version >= 1 else {
                throw ONNXError(
                    file, .invalidModel, "\(owner) imports version \(opset.version) of operator set \(name)")
            }
            guard seen.insert(standardDomain(opset.domain)).inserted else {
                throw ONNXError(file, .invalidModel, "\(owner) imports operator set \(name) twice")
            }
        }
    }

    private func checkFunctions(file: String) throws {
        var seen: Set<[String]> = []
        for function in functions {
            let owner = "function '\(function.name)'"
            guard seen.insert([standardDomain(function.domain), function.name, function.overload]).inserted else {
                throw ONNXError(file, .invalidModel, "\(owner) is defined twice")
            }
            // A function without imports of its own uses the model's.
            let imports = function.opsetImports.isEmpty ? opsetImports : function.opsetImports
            try checkOpsets(imports, of: owner, file: file)
            let body = GraphProto(
                name: function.name, nodes: function.nodes, initializers: [], sparseInitializerNames: [],
                inputs: function.inputs.map { ValueInfoProto(name: $0, type: nil) },
                outputs: function.outputs.map { ValueInfoProto(name: $0, type: nil) }, valueInfo: [], docString: "",
                metadataProps: [])
            try GraphCheck(file: file, imports: imports).graph(body, scopes: [], place: "\(owner): ")
        }
    }
}

extension GraphProto {
    /// Indices of the nodes in an order in which every node comes after the producers of its inputs; the file's own order
    /// where that is one. Throws when nodes depend on each other in a circle.
    public func topologicalOrder(file: String) throws -> [Int] {
        var producer: [String: Int] = [:]
        for (index, node) in nodes.enumerated() {
            for output in node.outputs where !output.isEmpty { producer[output] = index }
        }
        var consumers = [[Int]](repeating: [], count: nodes.count)
        var waitingFor = [Int](repeating: 0, count: nodes.count)
        var isSorted = true
        for (index, node) in nodes.enumerated() {
            for source in Set(node.allReadNames.compactMap { producer[$0] }) {
                consumers[source].append(index)
                waitingFor[index] += 1
                if source >= index { isSorted = false }
            }
        }
        if isSorted { return Array(nodes.indices) }
        var order = nodes.indices.filter { waitingFor[$0] == 0 }
        var next = 0
        while next < order.count {
            for consumer in consumers[order[next]] {
                waitingFor[consumer] -= 1
                if waitingFor[consumer] == 0 { order.append(consumer) }
            }
            next += 1
        }
        guard order.count == nodes.count else {
            let stuck = nodes.indices.first { waitingFor[$0] > 0 } ?? 0
            throw ONNXError(file, .invalidModel, "\(nodes[stuck].label) depends on its own output")
        }
        return order
    }
}

extension NodeProto {
    /// Names this node reads: its inputs, and what graphs in its attributes read from outside.
    var allReadNames: [String] {
        var names = inputs.filter { !$0.isEmpty }
        for attribute in attributes {
            for graph in attribute.value.graphs { names += graph.capturedNames }
        }
        return names
    }
}

extension AttributeProto.Value {
    /// The graphs it holds, none for other types.
    var graphs: [GraphProto] {
        switch self {
        case .graph(let graph): [graph]
        case .graphs(let graphs): graphs
        default: []
        }
    }
}

extension GraphProto {
    /// Names that its nodes and outputs read but that it does not define.
    var capturedNames: [String] {
        let own = definedNames
        return (nodes.flatMap(\.allReadNames) + outputs.map(\.name)).filter { !own.contains($0) }
    }

    /// Every name that inputs, initializers and nodes define.
    var definedNames: Set<String> {
        var names = Set(inputs.map(\.name))
        names.formUnion(initializers.map(\.name))
        names.formUnion(sparseInitializerNames)
        for node in nodes { names.formUnion(node.outputs) }
        names.remove("")
        return names
    }
}

/// The checks of one model's graphs.
private struct GraphCheck {
    let file: String
    let imports: [OperatorSetIdProto]

    /// `scopes` holds the values of each graph around this one, `place` begins messages.
    func graph(_ graph: GraphProto, scopes: [Set<String>], place: String) throws {
        try checkDefinitions(of: graph, place: place)
        // A list of sets rather than their union: a thousand small graphs in a large one must not copy it a thousand times.
        let scopes = scopes + [graph.definedNames]
        for node in graph.nodes { try self.node(node, scopes: scopes, place: place) }
        for output in graph.outputs where !isKnown(output.name, scopes) {
            throw invalid("\(place)graph output '\(output.name)' is not computed by anything")
        }
        _ = try graph.topologicalOrder(file: file)
    }

    private func isKnown(_ name: String, _ scopes: [Set<String>]) -> Bool { scopes.contains { $0.contains(name) } }

    private func node(_ node: NodeProto, scopes: [Set<String>], place: String) throws {
        guard !node.opType.isEmpty else { throw invalid("\(place)node '\(node.name)' names no operator") }
        guard imports.version(of: node.domain) != nil else {
            let domain = node.domain.isEmpty ? "ai.onnx" : node.domain
            throw invalid("\(place)\(node.label): operator set '\(domain)' is not imported (opset_import)")
        }
        for input in node.inputs where !input.isEmpty && !isKnown(input, scopes) {
            throw invalid(
                "\(place)\(node.label): input '\(input)' is no graph input, no initializer and no output of a node")
        }
        var attributeNames: Set<String> = []
        for attribute in node.attributes {
            guard attributeNames.insert(attribute.name).inserted else {
                throw invalid("\(place)\(node.label): attribute '\(attribute.name)' is given twice")
            }
            for inner in attribute.value.graphs {
                try graph(inner, scopes: scopes, place: "\(place)\(node.label): graph '\(attribute.name)': ")
            }
        }
    }

    /// Every name has one definition; only an initializer may repeat a graph input, for which it is the default.
    private func checkDefinitions(of graph: GraphProto, place: String) throws {
        var inputs: Set<String> = []
        for input in graph.inputs {
            guard inputs.insert(input.name).inserted else {
                throw invalid("\(place)two graph inputs are named '\(input.name)'")
            }
        }
        var constants: Set<String> = []
        for name in graph.initializers.map(\.name) + graph.sparseInitializerNames {
            guard !name.isEmpty else { throw invalid("\(place)an initializer has no name") }
            guard constants.insert(name).inserted else {
                throw invalid("\(place)two initializers are named '\(name)', or alike but for their Unicode form")
            }
        }
        var outputs: Set<String> = []
        for node in graph.nodes {
            for output in node.outputs where !output.isEmpty {
                guard !inputs.contains(output), !constants.contains(output), outputs.insert(output).inserted else {
                    throw invalid("\(place)\(node.label): output '\(output)' is already defined")
                }
            }
        }
        var graphOutputs: Set<String> = []
        for output in graph.outputs where !graphOutputs.insert(output.name).inserted {
            throw invalid("\(place)two graph outputs are named '\(output.name)'")
        }
    }

    private func invalid(_ reason: String) -> ONNXError { ONNXError(file, .invalidModel, reason) }
}
