import GraphIR
import Operators
import TensorCore

extension Graph {
    /// Computes every output for inputs given by name.
    ///
    /// A graph with one input takes a single tensor of any name. Throws `GraphError` for a missing, unexpected or unfitting
    /// tensor; `source` names where the tensors came from.
    public func run(named tensors: [String: NDArray], source: String) throws -> [String: NDArray] {
        let known = Dictionary(uniqueKeysWithValues: inputs.map { (values[$0].name, $0) })
        var given: [ValueID: NDArray] = [:]
        if let only = inputs.first, inputs.count == 1, tensors.count == 1, let tensor = tensors.first {
            given[only] = tensor.value
        } else {
            for (name, tensor) in tensors {
                guard let id = known[name] else {
                    let names = known.keys.sorted().joined(separator: ", ")
                    throw GraphError(
                        "'\(name)' of \(source)",
                        "is no input; " + (names.isEmpty ? "the graph has none" : "expected \(names)"))
                }
                given[id] = tensor
            }
        }
        for id in inputs {
            guard var tensor = given[id] else {
                throw GraphError("input '\(values[id].name)'", "is missing in \(source)")
            }
            // A float16 model computes in float32 here.
            if let declared = values[id].declared, declared.dtype.isFloatingPoint, tensor.dtype.isFloatingPoint {
                tensor = tensor.converted(to: declared.dtype)
                given[id] = tensor
            }
            try check(tensor, id)
        }
        let batch = given[inputs.first ?? 0]?.shape.first
        // Another batch than the file's is welcome where the graph allows it.
        let graph = batch != nil && batch != fixedBatch ? (try? withOpenBatch()) ?? self : self
        let cut = graph.cut(active: [])
        // Without relations every node runs on the whole batch, which is right for every graph.
        let sides = given[inputs.first ?? 0].flatMap { graph.imageSize(of: $0.shape) }
        let plan = InferencePlan(
            graph, nodes: cut.prefix, constants: try graph.computeConstants(cut.constant), results: outputs,
            relations: inputs.count == 1 ? try? BatchRelations(graph, imageSize: sides) : nil)
        let results = try plan.run(given)
        return Dictionary(zip(outputs.map { values[$0].name }, results), uniquingKeysWith: { first, _ in first })
    }

    private func check(_ tensor: NDArray, _ id: ValueID) throws {
        guard let declared = values[id].declared else { return }
        let place = "input '\(values[id].name)'"
        guard tensor.dtype == declared.dtype else {
            throw GraphError(place, "expected \(declared.dtype), got \(tensor.dtype)")
        }
        guard tensor.rank == declared.dimensions.count else {
            throw GraphError(place, "expected \(declared.dimensions.count) dimensions, got shape \(tensor.shape)")
        }
        for (axis, dimension) in declared.dimensions.enumerated().dropFirst() {
            guard case .fixed(let size) = dimension, tensor.shape[axis] != size else { continue }
            throw GraphError(place, "expected \(size) along axis \(axis), got shape \(tensor.shape)")
        }
    }
}
