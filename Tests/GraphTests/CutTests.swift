import GraphIR
import Operators
import TensorCore
import Testing

@Suite struct CutTests {
    @Test func sizesAreThoseOfTheCuts() throws {
        var network = try ResidualNetwork(stages: [16, 32], classes: 10)
        // A weight behind a node of its own is computed once while frozen, and trainable with it.
        let weight = network.graph.addValue("behind")
        let last = try #require(
            network.graph.nodes.lastIndex {
                $0.inputs.compactMap { $0 }.contains { network.graph.constants[$0] != nil }
            })
        let position = try #require(
            network.graph.nodes[last].inputs.firstIndex { $0.map { network.graph.constants[$0] != nil } ?? false })
        let constant = network.graph.nodes[last].inputs[position]
        network.graph.nodes[last].inputs[position] = weight
        network.graph.nodes.insert(
            Graph.Node(name: "identity", op: Op.Identity(), inputs: [constant], outputs: [weight]), at: last)
        let graph = network.graph
        var groups = graph.constants.keys.sorted().map { [$0] }
        groups += zip(groups, groups.dropFirst()).map { $0 + $1 } + [[], [weight]]
        for activeNodes: Set<Int> in [[], [graph.nodes.count / 2]] {
            let sizes = graph.cutSizes(groups, activeNodes: activeNodes, outputs: graph.outputs)
            for (group, size) in zip(groups, sizes) {
                let cut = graph.cut(active: Set(group), activeNodes: activeNodes, outputs: graph.outputs)
                #expect(size.frozen == cut.prefix.count && size.trainable == cut.suffix.count, "\(group)")
            }
        }
    }
}
