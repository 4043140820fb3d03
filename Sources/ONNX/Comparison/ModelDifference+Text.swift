extension ModelDifference {
    /// The differences for people: one line per changed tensor, then a line for each other kind, then the sum.
    public var lines: [String] {
        let changed = tensors.filter(\.changed)
        var lines = changed.map { tensor in
            "\(tensor.name) \(tensor.shape): "
                + (tensor.maxAbs.map { "largest difference \(Float($0))" } ?? "another tensor")
        }
        func list(_ title: String, _ names: [String]) {
            if !names.isEmpty { lines.append("\(title): \(names.joined(separator: ", "))") }
        }
        list("metadata", metadataChanged)
        list("shapes", shapesChanged)
        list("fields", fieldsChanged)
        if nodesChanged > 0 { lines.append("nodes: \(nodesChanged) differ") }
        if identical {
            lines.append("identical")
        } else if lines.isEmpty {
            lines.append("equal in all that is read; the bytes differ (unknown fields, order or storage)")
        } else {
            lines.append("\(changed.count) of \(tensors.count) tensors differ")
        }
        return lines
    }
}
