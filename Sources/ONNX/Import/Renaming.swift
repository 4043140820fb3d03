extension NodeProto {
    /// The node with every value's name replaced, those that graphs in its attributes read from outside included.
    ///
    /// - `attribute`: makes of an attribute another one, or none.
    func renamed(
        _ name: (String) -> String, attribute: (AttributeProto) -> AttributeProto? = { $0 }
    ) -> NodeProto {
        var copy = self
        copy.inputs = inputs.map { $0.isEmpty ? "" : name($0) }
        copy.outputs = outputs.map { $0.isEmpty ? "" : name($0) }
        copy.attributes = attributes.compactMap { given in
            guard var changed = attribute(given) else { return nil }
            switch changed.value {
            case .graph(let graph): changed.value = .graph(graph.renamingCaptured(name, attribute: attribute))
            case .graphs(let graphs):
                changed.value = .graphs(graphs.map { $0.renamingCaptured(name, attribute: attribute) })
            default: break
            }
            return changed
        }
        return copy
    }
}

extension GraphProto {
    /// The graph with the names that it reads from outside replaced; its own stay.
    func renamingCaptured(
        _ name: (String) -> String, attribute: (AttributeProto) -> AttributeProto? = { $0 }
    ) -> GraphProto {
        let own = definedNames
        func inner(_ given: String) -> String { own.contains(given) ? given : name(given) }
        var copy = self
        copy.nodes = nodes.map { $0.renamed(inner, attribute: attribute) }
        copy.outputs = outputs.map { output in
            var output = output
            output.name = inner(output.name)
            return output
        }
        return copy
    }

    /// Nodes of the graph and of the graphs in their attributes.
    var allNodes: [NodeProto] {
        nodes.flatMap { node in [node] + node.attributes.flatMap { $0.value.graphs.flatMap(\.allNodes) } }
    }

    /// Initializers of the graphs in attributes, but for those of one name.
    var branchInitializers: [TensorProto] {
        let all = allNodes.flatMap(\.attributes).flatMap(\.value.graphs).flatMap(\.initializers)
        let counts = Dictionary(all.map { ($0.name, 1) }, uniquingKeysWith: +)
        return all.filter { counts[$0.name] == 1 }
    }
}
