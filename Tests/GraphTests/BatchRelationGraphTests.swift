import Operators
import TensorCore
import TestSupport
import Testing

@testable import GraphIR

/// Relations of whole graphs: what is of pictures is, computed picture by picture, what the batch gives, and a cut anywhere
/// computes what the graph does.
@Suite struct BatchRelationGraphTests {
    @Test func picturesAloneAreThoseOfTheBatch() throws {
        var of = (images: 0, counted: 0, mixed: 0, known: 0)
        for seed in 0..<200 {
            let graph = RandomGraph(seed: UInt64(seed)).graph
            let relations = try BatchRelations(graph)
            let pictures = try images(3, seed)
            let whole = try values(graph, pictures)
            let alone = try (0..<3).map { try values(graph, pictures.rows($0..<$0 + 1)) }
            for (id, value) in whole {
                switch relations.relation[id] {
                case .constant:
                    of.known += relations.known[id] == nil ? 0 : 1
                    #expect(alone.allSatisfy { $0[id]?.isBitIdentical(to: value) == true }, "seed \(seed), value \(id)")
                case .counted:
                    of.counted += 1
                    // Another picture changes nothing.
                    let other = try values(graph, try images(3, seed + 1000))
                    #expect(other[id]?.isBitIdentical(to: value) == true, "seed \(seed), value \(id)")
                case .mixed: of.mixed += 1
                case .images(let axis):
                    of.images += 1
                    let rows = try axis.split(value, pictures: 3)
                    for picture in 0..<3 {
                        let own = try axis.split(try #require(alone[picture][id]), pictures: 1)
                        let fault = difference(own, rows.rows(picture..<picture + 1), rtol: 1e-3, atol: 1e-4)
                        #expect(fault == nil, "seed \(seed), value \(id) of picture \(picture): \(fault ?? "")")
                    }
                }
            }
        }
        // Calling everything mixed would be right, and of no use.
        #expect(of.images > 3 * of.mixed && of.counted > 100 && of.known > 10 && of.mixed > 50, "\(of)")
    }

    @Test func cutsComputeTheLogits() throws {
        for seed in 0..<60 {
            let graph = RandomGraph(seed: UInt64(seed)).graph
            let relations = try BatchRelations(graph)
            let pictures = try images(5, seed)
            let logits = try #require(try values(graph, pictures)[graph.outputs[0]])
            let weights = graph.constants.keys.filter { graph.values[$0].name.hasSuffix("weight") }.sorted()
            for weight in weights {
                let cut = graph.cut(active: [weight], relations: relations)
                #expect(cut.boundary.allSatisfy { relations.axis($0) != nil }, "seed \(seed)")
                let constants = try graph.computeConstants(
                    cut.constant, from: graph.constants.merging(relations.known) { own, _ in own })
                let plan = InferencePlan(
                    graph, nodes: cut.prefix, constants: constants, results: cut.boundary, relations: relations,
                    counted: cut.counted)
                // Features of every picture alone, and in batches of other sizes than they are used in.
                for alone in [true, false] {
                    var rows: [[NDArray]] = []
                    for part in [0..<2, 2..<5] {
                        let found = try plan.run([graph.inputs[0]: pictures.rows(part)], alone: alone)
                        rows.append(
                            try zip(cut.boundary, found).map {
                                try #require(relations.axis($0)).split($1, pictures: part.count)
                            })
                    }
                    var known = constants.merging(
                        try graph.countedValues(cut.counted, pictures: 5, relations: relations, constants: constants)
                    ) { $1 }
                    for (index, id) in cut.boundary.enumerated() {
                        let joined = try NDArray.concatenate(rows.map { $0[index] }, axis: 0)
                        known[id] = try #require(relations.axis(id)).join(joined, shape: relations.shapes[id] ?? [])
                    }
                    for index in cut.suffix {
                        let node = graph.nodes[index]
                        let results = try node.op.forward(node.inputs.map { $0.flatMap { known[$0] } })
                        for (id, array) in zip(node.outputs, results) { if let id { known[id] = array } }
                    }
                    let error = relativeError(try #require(known[graph.outputs[0]]), logits)
                    #expect(error < 1e-4, "seed \(seed), cut at \(graph.values[weight].name): \(error)")
                }
            }
        }
    }

    private func images(_ count: Int, _ seed: Int) throws -> NDArray {
        var random = RandomSource(seed: UInt64(seed)).split("pictures")
        return try NDArray.randomNormal([count, 3, 8, 8], from: &random)
    }

    /// Every computed value.
    private func values(_ graph: Graph, _ pictures: NDArray) throws -> [ValueID: NDArray] {
        var known = graph.constants.merging([graph.inputs[0]: pictures]) { $1 }
        for node in graph.nodes {
            let results = try node.op.forward(node.inputs.map { $0.flatMap { known[$0] } })
            for (id, array) in zip(node.outputs, results) { if let id { known[id] = array } }
        }
        return known.filter { graph.constants[$0.key] == nil }
    }
}
