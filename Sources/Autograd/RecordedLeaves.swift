extension Node {
    /// Number of the node that was recorded last, on any task.
    package static var newestSequence: UInt64 { lastSequence }
}

/// The leaves that require gradients and that operations recorded after node number `start` led to `output`.
package func recordedLeaves(behind output: Tensor, after start: UInt64) -> [Tensor] {
    guard let root = output.gradFn else { return [] }
    var leaves: [Tensor] = []
    var seen: Set<UInt64> = []
    var stack = [root]
    while let node = stack.popLast() {
        guard node.sequence > start, seen.insert(node.sequence).inserted else { continue }
        for input in node.inputs {
            switch input.edge {
            case .none, .constant: continue
            case .leaf(let leaf): leaves.append(leaf)
            case .node(let next, _): stack.append(next)
            }
        }
    }
    return leaves
}
