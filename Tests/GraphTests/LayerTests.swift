import Operators
import TensorCore
import Testing

@testable import GraphIR

/// What is a layer with parameters, and what only looks like one.
@Suite struct LayerTests {
    /// A graph with a stem of tokens `[N, 4, 8]`, to which constants can be joined and added.
    private struct Tokens {
        var graph = Graph()
        var last: ValueID

        init() {
            last = graph.addValue("tokens", declared: .init(.float32, [.symbolic("N"), .fixed(4), .fixed(8)]))
            graph.inputs = [last]
            add(Op.MatMul(), [last, constant("proj.weight", [8, 8])])
        }

        mutating func constant(_ name: String, _ shape: [Int], value: Double? = nil) -> ValueID {
            let id = graph.addValue(name)
            let count = shape.reduce(1, *)
            let numbers = (0..<count).map { value ?? (0.1 + 0.01 * Double($0)) }
            graph.constants[id] = NDArray(numbers.map { Float($0) }, shape: shape)
            return id
        }

        @discardableResult mutating func add(_ op: any Operator, _ inputs: [ValueID], aside: Bool = false) -> ValueID {
            let output = graph.addValue("v\(graph.values.count)")
            graph.nodes.append(Graph.Node(name: "", op: op, inputs: inputs, outputs: [output]))
            if !aside {
                last = output
                graph.outputs = [output]
            }
            return output
        }

        var names: [String] { graph.layers().flatMap { $0.parameters.map(\.name) } }
        var roles: [String] { graph.layers().flatMap { layer in layer.parameters.map { "\(layer.path)|\($0.role)" } } }
    }

    @Test func everyTokenThatIsJoinedIsAParameter() {
        var tokens = Tokens()
        let cls = tokens.constant("cls_token", [1, 1, 8]), dist = tokens.constant("dist_token", [1, 1, 8])
        tokens.add(Op.Concat(axis: 1), [cls, dist, tokens.last])
        #expect(tokens.names == ["proj.weight", "cls_token", "dist_token"])
        #expect(tokens.roles == ["proj|weight", "cls_token|weight", "cls_token|dist_token"])
    }

    /// A position bias that layers make of coordinates has their parameters, and is none itself.
    @Test func aBiasThatLayersMakeIsNoParameter() {
        var tokens = Tokens()
        let made = tokens.add(
            Op.MatMul(), [tokens.constant("coordinates", [4, 2]), tokens.constant("mlp.weight", [2, 8])], aside: true)
        let bias = tokens.add(Op.Add(), [tokens.constant("mlp.bias", [8]), made], aside: true)
        tokens.add(Op.Add(), [tokens.last, bias])
        #expect(tokens.names == ["proj.weight", "mlp.weight", "mlp.bias"])
        #expect(tokens.graph.unshared().graph.constants.count == tokens.graph.constants.count)
    }

    /// Exporters write a mask that hides nothing as zeros.
    @Test func zerosForAllHeadsAreAMask() {
        var tokens = Tokens()
        tokens.add(Op.Add(), [tokens.last, tokens.constant("where", [1, 1, 8, 8], value: 0)])
        #expect(tokens.names == ["proj.weight"])
        tokens.add(Op.Add(), [tokens.last, tokens.constant("bias_table", [1, 2, 8, 8], value: 0)])
        #expect(tokens.names == ["proj.weight", "bias_table"])
    }

    /// Weight standardisation is a norm with a gain, and with zeros where a bias would be.
    @Test func aNormOfWeightsHasNoBias() {
        var tokens = Tokens()
        let weight = tokens.constant("conv.weight", [1, 8, 8])
        let gain = tokens.constant("gain", [8]), zeros = tokens.constant("filler", [8], value: 0)
        let standard = tokens.add(Op.InstanceNormalization(), [weight, gain, zeros], aside: true)
        tokens.add(Op.MatMul(), [tokens.last, standard])
        #expect(!tokens.names.contains("filler"))
        #expect(tokens.names.contains("gain") && tokens.names.contains("conv.weight"))
    }
}
