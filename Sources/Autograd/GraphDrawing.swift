import TensorCore

/// The graph recorded behind `output`, in Graphviz's DOT language: operations with their output shapes, leaves that receive
/// gradients, and leaves that were recorded as constants (dashed: frozen).
public func dot(of output: Tensor) -> String {
    var lines = ["digraph recorded {", "  rankdir=BT;", "  node [fontname=\"monospace\", shape=box];"]
    guard let root = output.gradFn else { return (lines + ["}"]).joined(separator: "\n") }
    var leafNames: [ObjectIdentifier: String] = [:]
    func quoted(_ text: String) -> String {
        text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"")
    }
    func leaf(_ id: ObjectIdentifier, _ label: [String], style: String) -> String {
        if let name = leafNames[id] { return name }
        let name = "leaf\(leafNames.count)"
        leafNames[id] = name
        lines.append("  \(name) [label=\"\(label.map(quoted).joined(separator: "\\n"))\", \(style)];")
        return name
    }
    for node in reachableNodes(from: [root]) {
        let shapes = node.outputs.map { "\($0.shape)" }.joined(separator: " ")
        lines.append("  op\(node.sequence) [label=\"\(quoted(node.name))\\n\(shapes)\", style=rounded];")
        for input in node.inputs {
            switch input.edge {
            case .none: continue
            case .node(let next, _): lines.append("  op\(next.sequence) -> op\(node.sequence);")
            case .leaf(let tensor):
                let text = [tensor.name ?? "leaf", "\(tensor.shape) requires grad"]
                let name = leaf(ObjectIdentifier(tensor), text, style: "style=filled, fillcolor=lightblue")
                lines.append("  \(name) -> op\(node.sequence);")
            case .constant(let watch):
                let name = leaf(ObjectIdentifier(watch), [watch.label, "frozen"], style: "style=dashed")
                lines.append("  \(name) -> op\(node.sequence);")
            }
        }
    }
    lines.append("}")
    return lines.joined(separator: "\n")
}

/// Bytes of every value that the graph behind `output` keeps for its gradient, counted once per recorded use.
public func savedBytes(behind output: Tensor) -> Int {
    guard let root = output.gradFn else { return 0 }
    return reachableNodes(from: [root]).reduce(0) { $0 + $1.savedBytes }
}
