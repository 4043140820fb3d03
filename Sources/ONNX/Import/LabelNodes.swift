/// The end of a classifier that makes labels of probabilities: operators of `ai.onnx.ml` on strings and maps. The graph ends
/// before them.
struct LabelNodes {
    private static let operators: Set<String> = ["ZipMap", "ArrayFeatureExtractor", "LabelEncoder"]

    /// The nodes without those.
    let nodes: [NodeProto]
    /// The graph's outputs; those that the nodes made are replaced by what they were made of.
    let outputs: [String]

    init(_ given: [NodeProto], outputs: [String]) {
        guard given.contains(where: { LabelNodes.isLabel($0) }) else {
            (nodes, self.outputs) = (given, outputs)
            return
        }
        var producers: [String: NodeProto] = [:]
        var dropped: Set<String> = []
        var kept: [NodeProto] = []
        var ends: [NodeProto] = []
        for node in given {
            for output in node.outputs where !output.isEmpty { producers[output] = node }
            guard LabelNodes.isLabel(node) || node.allReadNames.contains(where: { dropped.contains($0) }) else {
                kept.append(node)
                continue
            }
            dropped.formUnion(node.outputs)
            if LabelNodes.isLabel(node) { ends.append(node) }
        }
        nodes = kept
        let remaining = outputs.filter { !dropped.contains($0) }
        guard remaining.isEmpty else {
            self.outputs = remaining
            return
        }
        // Probabilities are what a map is made of; failing that, what the index of the largest was taken of.
        let sources = ends.sorted { $0.opType == "ZipMap" && $1.opType != "ZipMap" }.flatMap(\.inputs)
            .filter { producers[$0].map { $0.opType != "Constant" } ?? false && !dropped.contains($0) }
        self.outputs = sources.first.map { [LabelNodes.scores(behind: $0, producers)] } ?? outputs
    }

    private static func isLabel(_ node: NodeProto) -> Bool {
        node.domain == "ai.onnx.ml" && operators.contains(node.opType)
    }

    private static func scores(behind name: String, _ producers: [String: NodeProto]) -> String {
        var current = name
        while let node = producers[current], let input = node.inputs.first {
            if node.opType == "ArgMax" { return input }
            guard ["Cast", "Reshape", "Squeeze", "Identity"].contains(node.opType) else { break }
            current = input
        }
        return name
    }
}
