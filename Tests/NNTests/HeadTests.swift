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

    @Test func aSingleOutputAndASigmoidAreRefused() throws {
        let single = try module(outputs: 1, [Op.Sigmoid()])
        let one = try #require(throws: GraphError.self) { try single.classCount() }
        #expect(one.description.contains("at least 2 classes"), "\(one)")
        let several = try module(outputs: 4, [Op.Sigmoid()])
        let many = try #require(throws: GraphError.self) { try several.classCount() }
        #expect(many.description.contains("Sigmoid"), "\(many)")
    }
}
