import Operators

extension Graph {
    /// The graph in which layers that pictures go through behave as in inference, and the nodes that behaved otherwise.
    ///
    /// A file that was exported in training mode holds batch norms with statistics of the batch, and dropouts that drop. Here
    /// such a norm uses its running statistics, and the module made of it follows the batch when training asks for that. A norm
    /// of weights (weight standardisation) is no such layer and stays.
    ///
    /// Throws `GraphError` when something reads the statistics of the batch.
    public func inInferenceForm() throws -> (graph: Graph, changed: [Int]) {
        var result = self
        var changed: [Int] = []
        let consumers = consumers(), shown = dependent(on: Set(inputs))
        for (index, node) in nodes.enumerated() {
            guard case let x?? = node.inputs.first, shown.contains(x) else { continue }
            if let norm = node.op as? Op.BatchNormalization, norm.isTraining || node.outputs.count > 1 {
                let isRead = node.outputs.dropFirst().contains { id in
                    id.map { consumers[$0] != nil || outputs.contains($0) } ?? false
                }
                guard !isRead else {
                    throw GraphError(
                        node.label,
                        "hands on the statistics of the batch; export the model in evaluation mode (model.eval())")
                }
                result.nodes[index].op = norm.inferenceForm
                result.nodes[index].outputs = Array(node.outputs.prefix(1))
                result.nodes[index].attributes = node.attributes.map { $0.without("training_mode", outputCount: 1) }
                changed.append(index)
            } else if node.op is Op.Dropout, node.inputs.count > Op.Dropout.trainingInput,
                node.inputs[Op.Dropout.trainingInput] != nil
            {
                result.nodes[index].inputs = Array(node.inputs.prefix(Op.Dropout.trainingInput))
                changed.append(index)
            }
        }
        return (result, changed)
    }

    /// Values that `ids` go into, and these.
    func dependent(on ids: Set<ValueID>) -> Set<ValueID> {
        var result = ids
        for node in nodes where node.inputs.contains(where: { $0.map(result.contains) ?? false }) {
            result.formUnion(node.outputs.compactMap { $0 })
        }
        return result
    }
}
