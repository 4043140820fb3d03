import GraphIR
import Operators

extension GraphProto {
    /// Inputs, outputs and value_info whose shape in `new` is not that in `old`, the graph that `new` was made from: what a new
    /// head changes. Dimensions that follow the batch, and those that the file gives a name, stay as they are.
    ///
    /// Throws `GraphError` when shapes cannot be inferred.
    func changedShapes(
        from old: Graph, to new: Graph, imageSize: (height: Int, width: Int)?
    ) throws -> [String: [TypeProto.Dimension]] {
        // What is the same at two batch sizes does not follow the batch.
        let infos = try [old, new].map { graph in
            try [2, 3].map { try graph.infer(try graph.inputInfos(batch: $0, imageSize: imageSize)) }
        }
        // Values that only `new` has are not the file's, whatever their names.
        let ids = Dictionary(old.values.enumerated().map { ($1.name, $0) }, uniquingKeysWith: { first, _ in first })
        var changes: [String: [TypeProto.Dimension]] = [:]
        for info in inputs + valueInfo + outputs {
            guard var dimensions = info.dimensions, let id = ids[info.name] else { continue }
            func size(_ infos: [[ValueInfo?]], _ axis: Int) -> Int? {
                let sizes = infos.map { $0[id].flatMap { $0.shape.indices.contains(axis) ? $0.shape[axis] : nil } }
                return sizes[0] == sizes[1] ? sizes[0] : nil
            }
            for axis in dimensions.indices {
                guard case .value(let stated) = dimensions[axis], let before = size(infos[0], axis), stated == before,
                    let after = size(infos[1], axis), after != before
                else { continue }
                dimensions[axis] = .value(Int64(after))
                changes[info.name] = dimensions
            }
        }
        return changes
    }
}
