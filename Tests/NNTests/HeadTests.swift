import Autograd
import GraphIR
import NN
import Operators
import TensorCore
import Testing

/// Which outputs make a classifier.
@Suite struct HeadTests {
    /// Pictures `[N, 3]` times a weight of `outputs` columns, then `ops`.
    private func module(
        outputs: Int, _ ops: [any Operator] = [], dtype: DType = .float32
    ) throws -> GraphModule {
        var graph = Graph()
        let x = graph.addValue("x", declared: Graph.DeclaredType(dtype, [.symbolic("N"), .fixed(3)]))
        let weight = graph.addValue("fc.weight")
        graph.inputs = [x]
        graph.constants[weight] = .full([3, outputs], 0.5, dtype: dtype)
        var last = graph.addValue("y0")
        graph.nodes.append(Graph.Node(name: "fc", op: Op.MatMul(), inputs: [x, weight], outputs: [last]))
        for (index, op) in ops.enumerated() {
            let next = graph.addValue("y\(index + 1)")
            graph.nodes.append(Graph.Node(name: "n\(index)", op: op, inputs: [last], outputs: [next]))
            last = next
        }
        graph.outputs = [last]
        return try GraphModule(graph)
    }

    @Test func classesAreCounted() throws {
        #expect(try module(outputs: 4).classCount() == 4)
        #expect(try module(outputs: 4, [Op.Softmax()]).classCount() == 4)
    }

    @Test(arguments: [DType.float32, .float64]) func aNewHeadKeepsTheElementType(_ dtype: DType) throws {
        let module = try module(outputs: 4, dtype: dtype)
        var random = RandomSource(seed: 1)
        #expect(try module.replaceHead(classes: 2, using: &random).newClasses == 2)
        let parameter = try #require(module.parameters().first)
        #expect(parameter.dtype == dtype && parameter.shape == [3, 2])
        #expect(try module(Tensor(.zeros([5, 3], dtype: dtype))).shape == [5, 2])
    }

    /// A MatMul and the Add of its bias are one layer, which the cut may go through.
    @Test func aBiasTrainsWithoutItsWeight() throws {
        var graph = Graph()
        let (x, weight, bias) = (graph.addValue("x"), graph.addValue("fc.weight"), graph.addValue("fc.bias"))
        let (product, y) = (graph.addValue("xw"), graph.addValue("y"))
        graph.inputs = [x]
        graph.constants = [weight: .full([3, 2], 0.5), bias: NDArray([Float(1), 2])]
        graph.nodes = [
            Graph.Node(name: "fc/MatMul", op: Op.MatMul(), inputs: [x, weight], outputs: [product]),
            Graph.Node(name: "fc/Add", op: Op.Add(), inputs: [product, bias], outputs: [y]),
        ]
        graph.outputs = [y]
        let module = try GraphModule(graph)
        try module.unfreeze(matching: ["fc.bias"])
        let cut = module.cut()
        #expect(cut.prefix == [0] && cut.suffix == [1])
        let features = Tensor(.full([4, 2], 3, dtype: .float32))
        let logits = try #require(try module.run(cut.suffix, [product: features], constants: graph.constants)[y])
        #expect(logits.doubles() == [4, 5, 4, 5, 4, 5, 4, 5])
        try logits.sum().backward()
        #expect(module.parameter("fc.bias")?.grad?.doubles() == [4, 4])
        #expect(try module(Tensor(.full([1, 3], 1, dtype: .float32))).doubles() == [2.5, 3.5])
    }

    /// Dropout nodes are modules: they drop in training, and the cut is before them.
    @Test func dropoutsOfTheFileDropWhileTraining() throws {
        let module = try module(outputs: 64, [Op.Dropout(ratio: 0.25), Op.Relu()])
        #expect(module["n0"] is Dropout && module.modules().count == 3)
        let x = Tensor(.full([2, 3], 1, dtype: .float32))
        #expect(module.cut().suffix == [1, 2] && module.cut(training: false).suffix == [])
        module.reseedDropouts(RandomSource(seed: 1))
        let first = try module(x).doubles()
        #expect(Set(first) == [0, 2] && (0.1...0.4).contains(Double(first.count { $0 == 0 }) / 128))
        #expect(try module(x).doubles() != first)
        module.reseedDropouts(RandomSource(seed: 1))
        #expect(try module(x).doubles() == first)
        #expect(try module.eval()(x).doubles().allSatisfy { $0 == 1.5 })
    }

    @Test func aSingleOutputAndASigmoidAreRefused() throws {
        let single = try module(outputs: 1, [Op.Sigmoid()])
        let one = try #require(throws: GraphError.self) { try single.classCount() }
        #expect(one.description.contains("at least 2 classes"), "\(one)")
        let several = try module(outputs: 4, [Op.Sigmoid()])
        let many = try #require(throws: GraphError.self) { try several.classCount() }
        #expect(many.description.contains("Sigmoid"), "\(many)")
    }
}
