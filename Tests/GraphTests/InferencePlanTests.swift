import GraphIR
import Operators
import TensorCore
import TestSupport
import Testing

@Suite struct InferencePlanTests {
    /// Every value of the graph, computed node by node.
    private func reference(_ graph: Graph, _ inputs: [ValueID: NDArray]) throws -> [ValueID: NDArray] {
        var known = graph.constants.merging(inputs) { $1 }
        for node in graph.nodes {
            let outputs = try node.op.forward(node.inputs.map { $0.flatMap { known[$0] } })
            for (id, array) in zip(node.outputs, outputs) { if let id { known[id] = array } }
        }
        return known
    }

    private func plan(_ graph: Graph, _ results: [ValueID]) -> PlanOfTest { PlanOfTest(graph, results) }

    /// One plan for pictures of the shape that it is first run with.
    private final class PlanOfTest {
        private var graph: Graph
        private let results: [ValueID]
        private var plan: InferencePlan?

        init(_ graph: Graph, _ results: [ValueID]) { (self.graph, self.results) = (graph, results) }

        func run(_ inputs: [ValueID: NDArray], alone: Bool = false) throws -> [NDArray] {
            let input = graph.inputs[0], picture = (inputs[input]?.shape ?? []).dropFirst()
            graph.values[input].declared = .init(.float32, [.symbolic("N")] + picture.map { .fixed($0) })
            let plan =
                plan
                ?? InferencePlan(
                    graph, nodes: Array(graph.nodes.indices), constants: graph.constants, results: results,
                    relations: try? BatchRelations(graph))
            self.plan = plan
            return try plan.run(inputs, alone: alone)
        }
    }

    @Test(arguments: [[16, 32], [24, 40, 72]], [33, 64])
    func agreesWithTheNodes(_ widths: [Int], _ size: Int) throws {
        let network = try ResidualNetwork(stages: widths, classes: 10)
        let plan = plan(network.graph, network.graph.outputs)
        // A smaller batch after a larger one, and a larger one after that.
        for (seed, batch) in [3, 1, 13, 0].enumerated() {
            let x = ResidualNetwork.pictures(batch, size: size, seed: UInt64(seed))
            let expected = try reference(network.graph, [network.input: x])
            let results = try plan.run([network.input: x])
            #expect(results.count == 1)
            #expect(relativeError(results[0], try #require(expected[network.graph.outputs[0]])) < 1e-4)
        }
    }

    @Test func keepsTheValuesThatTheCallerWants() throws {
        let network = try ResidualNetwork(stages: [16, 32], classes: 10)
        let x = ResidualNetwork.pictures(2, size: 40, seed: 3)
        let expected = try reference(network.graph, [network.input: x])
        // Also sums and convolutions that would otherwise be fused away.
        let wanted = network.stages + network.graph.nodes.compactMap { $0.outputs[0] }.filter { $0 % 3 == 0 }
        let results = try plan(network.graph, wanted).run([network.input: x])
        for (id, result) in zip(wanted, results) {
            let name = network.graph.values[id].name
            #expect(relativeError(result, try #require(expected[id])) < 1e-4, "\(name)")
        }
    }

    @Test func isTheSameWhateverElseRuns() throws {
        let network = try ResidualNetwork(stages: [16, 32], classes: 10)
        let x = ResidualNetwork.pictures(5, size: 40, seed: 3)
        let plan = plan(network.graph, network.graph.outputs)
        let first = try plan.run([network.input: x])[0]
        for _ in 0..<5 { #expect(try plan.run([network.input: x])[0].isBitIdentical(to: first)) }
    }

    /// An image's values do not depend on its batch, to the last bit: features are kept from one run to the next.
    @Test func isTheSameInEveryBatch() throws {
        let network = try ResidualNetwork(stages: [16, 32], classes: 10)
        let x = ResidualNetwork.pictures(7, size: 56, seed: 3)
        let boundary = network.stages[2]
        let together = try plan(network.graph, [boundary]).run([network.input: x])[0]
        let alone = plan(network.graph, [boundary])
        for image in 0..<7 {
            let single = try alone.run([network.input: x.rows(image..<image + 1)])[0]
            #expect(single.isBitIdentical(to: together.rows(image..<image + 1)))
        }
    }

    /// Kept values, too, where what comes after the convolutions is rounded differently in company.
    @Test func productsOfMatricesAreTheSameAloneWhereAskedFor() throws {
        var graph = Graph()
        let (x, w, y, z) = (graph.addValue("x"), graph.addValue("w"), graph.addValue("y"), graph.addValue("z"))
        graph.inputs = [x]
        graph.constants[w] = numbers([70, 700], seed: 1)
        graph.nodes = [
            Graph.Node(name: "relu", op: Op.Relu(), inputs: [x], outputs: [y]),
            Graph.Node(name: "fc", op: Op.Gemm(transB: true), inputs: [y, w], outputs: [z]),
        ]
        graph.outputs = [z]
        let (plan, rows) = (plan(graph, [z]), numbers([9, 700], seed: 2))
        let together = try plan.run([x: rows], alone: true)[0]
        for row in 0..<9 {
            let single = try plan.run([x: rows.rows(row..<row + 1)])[0]
            #expect(single.isBitIdentical(to: together.rows(row..<row + 1)))
        }
    }

    /// Arrays that are small enough one by one, but not as blocks of channels that are all needed at once.
    @Test func valuesTooLargeForTheMemoryAreRefused() throws {
        var graph = Graph()
        let x = graph.addValue("x"), y = graph.addValue("y"), z = graph.addValue("z")
        let (w, v) = (graph.addValue("w"), graph.addValue("v"))
        graph.inputs = [x]
        graph.outputs = [z]
        graph.constants[w] = .zeros([1, 1, 1, 1], dtype: .float32)
        graph.constants[v] = .zeros([1, 1, 1, 1], dtype: .float32)
        let side = Int((Double(ArrayLimit.bytes) / 32).squareRoot())
        let pads = Op.Conv(pads: [side, side, 0, 0])
        graph.nodes.append(Graph.Node(name: "a", op: pads, inputs: [x, w], outputs: [y]))
        graph.nodes.append(Graph.Node(name: "b", op: Op.Conv(), inputs: [y, v], outputs: [z]))
        #expect(throws: GraphError.self) {
            _ = try plan(graph, [z]).run([x: .zeros([1, 1, 4, 4], dtype: .float32)])
        }
    }

    /// Branches, limits as inputs, and a node that looks at the whole batch.
    @Test func runsWhatIsNotFused() throws {
        var graph = Graph()
        let x = graph.addValue("x")
        graph.inputs = [x]
        func add(_ op: any Operator, _ inputs: [ValueID?]) -> ValueID {
            let y = graph.addValue("v\(graph.values.count)")
            graph.nodes.append(Graph.Node(name: "n\(y)", op: op, inputs: inputs, outputs: [y]))
            return y
        }
        func constant(_ array: NDArray) -> ValueID {
            let id = graph.addValue("c\(graph.values.count)")
            graph.constants[id] = array
            return id
        }
        let w = constant(ResidualNetwork.pictures(20, size: 3, seed: 1))
        let a = add(Op.Conv(pads: [1, 1, 1, 1]), [x, w])
        let b = add(Op.Clip(), [a, constant(NDArray(scalar: Float(-0.5))), constant(NDArray(scalar: Float(2)))])
        let c = add(Op.Sigmoid(), [b])
        let sum = add(Op.Add(), [b, c])
        let both = add(Op.Concat(axis: 1), [sum, b])
        let pooled = add(Op.GlobalAveragePool(), [both])
        let flat = add(Op.Flatten(), [pooled])
        let softmax = add(Op.Softmax(axis: 0), [flat])
        graph.outputs = [softmax, sum]
        let pictures = ResidualNetwork.pictures(4, size: 9, seed: 5)
        let expected = try reference(graph, [x: pictures])
        for (id, result) in zip(graph.outputs, try plan(graph, graph.outputs).run([x: pictures])) {
            #expect(relativeError(result, try #require(expected[id])) < 1e-5)
        }
    }

    /// Windows of mostly padding: their number times their size would be 2 * 10^11.
    @Test(.timeLimit(.minutes(1))) func passesOverPadding() throws {
        var graph = Graph()
        let x = graph.addValue("x"), w = graph.addValue("w"), y = graph.addValue("y"), z = graph.addValue("z")
        graph.inputs = [x]
        graph.constants[w] = ResidualNetwork.pictures(16, size: 3, seed: 1)
        let pool = Op.MaxPool(kernelShape: [700, 700], pads: [Int](repeating: 699, count: 4))
        graph.nodes = [
            Graph.Node(name: "conv", op: Op.Conv(), inputs: [x, w], outputs: [y]),
            Graph.Node(name: "pool", op: pool, inputs: [y], outputs: [z]),
        ]
        graph.outputs = [z]
        let pictures = ResidualNetwork.pictures(1, size: 5, seed: 5)
        let expected = try #require(try reference(graph, [x: pictures])[z])
        #expect(relativeError(try plan(graph, [z]).run([x: pictures])[0], expected) < 1e-5)
    }

    private func numbers(_ shape: [Int], seed: UInt64) -> NDArray {
        var generator = SplitMix(state: seed)
        return NDArray((0..<elementCount(shape)).map { _ in Float(generator.next()) }, shape: shape)
    }

    /// Sums with what the convolution reads itself, and with an earlier value that nobody reads later.
    @Test(arguments: [(3, 1), (1, 1), (3, 32), (3, 4)], [true, false])
    func addsToAConvolution(_ window: (kernel: Int, groups: Int), _ readsItself: Bool) throws {
        var graph = Graph()
        let x = graph.addValue("x")
        graph.inputs = [x]
        func add(_ op: any Operator, _ inputs: [ValueID]) -> ValueID {
            let y = graph.addValue("v\(graph.values.count)")
            graph.nodes.append(Graph.Node(name: "n\(y)", op: op, inputs: inputs, outputs: [y]))
            return y
        }
        func convolve(_ input: ValueID, kernel: Int, groups: Int) -> ValueID {
            let shape = [32, 32 / groups, kernel, kernel]
            let w = graph.addValue("w\(graph.values.count)")
            graph.constants[w] = numbers(shape, seed: UInt64(w))
            return add(Op.Conv(pads: [Int](repeating: kernel / 2, count: 4), groups: groups), [input, w])
        }
        let first = add(Op.Relu(), [convolve(x, kernel: 3, groups: 1)])
        let read = readsItself ? first : add(Op.Relu(), [convolve(first, kernel: 3, groups: 1)])
        let sum = add(Op.Add(), [convolve(read, kernel: window.kernel, groups: window.groups), first])
        graph.outputs = [convolve(add(Op.Relu(), [sum]), kernel: 1, groups: 1)]
        let pictures = numbers([5, 32, 14, 14], seed: 7)
        let expected = try #require(try reference(graph, [x: pictures])[graph.outputs[0]])
        #expect(relativeError(try plan(graph, graph.outputs).run([x: pictures])[0], expected) < 1e-5)
    }

    @Test func namesTheNodeWhoseOperandsDoNotFit() throws {
        let network = try ResidualNetwork(stages: [16], classes: 10)
        let error = #expect(throws: GraphError.self) {
            try plan(network.graph, network.graph.outputs).run([network.input: .zeros([1, 4, 32, 32])])
        }
        #expect(error?.place == "Conv 'stem'")
    }
}
