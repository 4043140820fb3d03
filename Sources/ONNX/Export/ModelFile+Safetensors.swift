import Safetensors
import TensorCore

extension ModelFile {
    /// Tensors that a safetensors file of this model holds, by name: initializers with a numeric type, and what Constant
    /// nodes make of a floating type, by the name of their output.
    public var weights: [(name: String, tensor: TensorProto)] {
        let initializers = Set(model.graph.initializers.map(\.name))
        return model.graph.namedTensors.filter { name, tensor in
            guard let dtype = tensor.dataType.dtype else { return false }
            return initializers.contains(name) || dtype.isFloatingPoint
        }.map { (name: $0.0, tensor: $0.1) }
    }

    /// Writes the tensors `names` (all of `weights` unless given) as a safetensors file, names as keys.
    ///
    /// Throws when there is no such tensor or none at all, and when elements cannot be read or written.
    public func writeSafetensors(
        to path: String, names: [String]? = nil, replacing: [String: NDArray] = [:], metadata: [String: String] = [:]
    ) throws {
        let weights = self.weights
        let all = Dictionary(weights.map { ($0.name, $0.tensor) }, uniquingKeysWith: { first, _ in first })
        var tensors: [String: NDArray] = [:]
        for name in names ?? weights.map(\.name) {
            if let array = replacing[name] {
                tensors[name] = array
            } else if let tensor = all[name] {
                tensors[name] = try tensor.array()
            } else {
                throw ONNXError(self.path, .export, "there is no tensor '\(name)'")
            }
        }
        guard !tensors.isEmpty else { throw ONNXError(self.path, .export, "holds no tensors") }
        try protectSources(path)
        try Safetensors.write(tensors, metadata: metadata, to: path)
    }

    /// The tensors of a safetensors file as edits of this model.
    ///
    /// Throws `ONNXError` unless the file holds exactly the model's `weights`: for names that either lacks, for another
    /// shape, and for integers where the model has fractions or the other way round.
    public func edits(applying weights: SafetensorsFile) throws -> ModelEdits {
        let own = Dictionary(self.weights.map { ($0.name, $0.tensor) }, uniquingKeysWith: { first, _ in first })
        let given = Set(weights.names)
        func problem(_ names: Set<String>, _ reason: String) -> String? {
            guard let first = names.min() else { return nil }
            let others = names.count == 1 ? "" : " and \(names.count - 1) more"
            return "\(reason): '\(first)'\(others)"
        }
        let problems = [
            problem(given.subtracting(own.keys), "holds what \(path) has no tensor for"),
            problem(Set(own.keys).subtracting(given), "lacks what \(path) holds"),
        ].compactMap { $0 }
        guard problems.isEmpty else {
            throw ONNXError(weights.path, .export, problems.joined(separator: "; "))
        }
        var edits = ModelEdits()
        for (name, tensor) in own {
            let shape = try tensor.shape()
            let array = try weights.tensor(named: name)
            guard array.shape == shape else {
                throw ONNXError(
                    weights.path, .export, "tensor '\(name)' has shape \(array.shape), in \(path) it has \(shape)")
            }
            edits.tensors[name] = array
        }
        return edits
    }
}
