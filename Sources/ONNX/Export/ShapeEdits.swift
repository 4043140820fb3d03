import TensorCore

/// The shapes that no longer hold when some tensors have new shapes.
///
/// A new head changes one size: [10, 256] becomes [5, 256]. Every value computed from a reshaped tensor may carry the old
/// size; where its shape in the file does, that dimension gets the new size: the channel axis of [N, C, H, W], the last
/// axis of others, and if that is not it, the only axis behind the first that has the old size.
struct ShapeEdits {
    private(set) var shapes: [String: [TypeProto.Dimension]] = [:]

    /// `reshaped` holds old and new shape by name; nodes that come to read one of them by another name are `readers`.
    init(graph: GraphProto, reshaped: [String: (old: [Int], new: [Int])], readers: Set<Int>, order: [Int]) {
        guard !reshaped.isEmpty else { return }
        let stated = Dictionary(
            (graph.inputs + graph.valueInfo + graph.outputs).compactMap { info in
                info.dimensions.map { (info.name, $0) }
            }, uniquingKeysWith: { first, _ in first })
        for (name, change) in reshaped where stated[name] != nil {
            shapes[name] = change.new.map { .value(Int64($0)) }
        }
        let sizes = ShapeEdits.changedSizes(reshaped)
        var stale = Set(reshaped.keys)
        for index in order {
            let node = graph.nodes[index]
            guard readers.contains(index) || node.allReadNames.contains(where: stale.contains) else { continue }
            for output in node.outputs where !output.isEmpty {
                stale.insert(output)
                if let dims = stated[output], shapes[output] == nil,
                    let updated = ShapeEdits.updated(dims, sizes: sizes)
                {
                    shapes[output] = updated
                }
            }
        }
    }

    /// The new size for each old one. An old size that became two different ones is left alone.
    private static func changedSizes(_ reshaped: [String: (old: [Int], new: [Int])]) -> [Int: Int] {
        var sizes: [Int: Set<Int>] = [:]
        for (old, new) in reshaped.values where old.count == new.count {
            for (before, after) in zip(old, new) where before != after { sizes[before, default: []].insert(after) }
        }
        return sizes.compactMapValues { $0.count == 1 ? $0.first : nil }
    }

    private static func updated(_ dims: [TypeProto.Dimension], sizes: [Int: Int]) -> [TypeProto.Dimension]? {
        func replacement(_ axis: Int) -> TypeProto.Dimension? {
            guard case .value(let size) = dims[axis], let new = sizes[Int(size)] else { return nil }
            return .value(Int64(new))
        }
        guard !dims.isEmpty else { return nil }
        var axis = dims.count >= 4 ? 1 : dims.count - 1
        if replacement(axis) == nil {
            let candidates = dims.indices.dropFirst().filter { replacement($0) != nil }
            guard candidates.count == 1 else { return nil }
            axis = candidates[0]
        }
        guard let new = replacement(axis) else { return nil }
        var result = dims
        result[axis] = new
        return result
    }
}
