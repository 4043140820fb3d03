import Autograd
import GraphIR
import Operators
import TensorCore

/// One layer of a `GraphModule`: the module, and how the graph's nodes feed it.
struct GraphLayer {
    let module: Module
    /// By role: `weight`, `bias`.
    let parameters: [String: Parameter]
    /// By role: `running_mean`, `running_var`.
    let buffers: [String: Buffer]
    private let first: Graph.Node

    init(_ layer: Layer, in graph: Graph, origins: [ValueID: ValueID]) {
        first = graph.nodes[layer.nodes[0]]
        var parameters: [String: Parameter] = [:]
        for slot in layer.parameters {
            guard let array = graph.constants[slot.root] else { continue }
            let parameter = Parameter(array, requiresGrad: false)
            parameter.name = "\(layer.path).\(slot.role)"
            let initializer = graph.values[origins[slot.root] ?? slot.root].name
            var aliases = [initializer]
            if let scope = first.scope { aliases.append("\(scope).\(slot.role)") }
            parameter.aliases = aliases.filter { $0 != parameter.name }
            parameters[slot.role] = parameter
        }
        var buffers: [String: Buffer] = [:]
        for slot in layer.buffers { buffers[slot.role] = graph.constants[slot.root].map { Buffer($0) } }
        self.parameters = parameters
        self.buffers = buffers
        module = GraphLayer.module(layer, graph, parameters, buffers)
    }

    /// The module for a layer: PyTorch's where the nodes mean exactly that, else the operators themselves.
    private static func module(
        _ layer: Layer, _ graph: Graph, _ parameters: [String: Parameter], _ buffers: [String: Buffer]
    ) -> Module {
        (try? typed(layer, graph, parameters, buffers)) ?? OperatorLayer(layer, graph, parameters, buffers)
    }

    /// Nil when the node has attributes, inputs or outputs that the module of its kind does not.
    private static func typed(
        _ layer: Layer, _ graph: Graph, _ parameters: [String: Parameter], _ buffers: [String: Buffer]
    ) throws -> Module? {
        let node = graph.nodes[layer.nodes[0]]
        let isDirect = (layer.parameters + layer.buffers).allSatisfy {
            graph.nodes[$0.node].inputs[$0.input] == $0.root
        }
        // Every input but the first must be the layer's own.
        let given = node.inputs.compactMap { $0 }.count
        guard isDirect, layer.nodes.count == 1, node.outputs.compactMap({ $0 }).count == 1,
            given == 1 + layer.parameters.count + layer.buffers.count, let weight = parameters["weight"]
        else { return nil }
        switch node.op {
        case let conv as Op.Conv:
            guard weight.rank == 4, let geometry = conv.fixedGeometry(weight: weight.shape) else { return nil }
            return try Conv2d(weight: weight, bias: parameters["bias"], geometry: geometry)
        case let gemm as Op.Gemm:
            guard !gemm.transA, gemm.transB, gemm.alpha == 1, gemm.beta == 1, parameters["bias"]?.rank ?? 1 == 1,
                parameters["bias"]?.count ?? weight.shape[0] == weight.shape[0]
            else { return nil }
            return try Linear(weight: weight, bias: parameters["bias"])
        case let norm as Op.BatchNormalization:
            guard !norm.isTraining, let mean = buffers["running_mean"], let variance = buffers["running_var"] else {
                return nil
            }
            return try BatchNorm2d(
                weight: weight, bias: parameters["bias"], runningMean: mean, runningVar: variance,
                epsilon: norm.epsilon,
                momentum: 1 - norm.momentum)
        default: return nil
        }
    }

    /// Runs the layer; `lookup` gives the values that are not the layer's own.
    func run(_ lookup: (ValueID?) -> Tensor?) throws -> Tensor {
        guard let general = module as? OperatorLayer else {
            guard let x = lookup(first.inputs[0]) else { throw GraphError(first.label, "has no input") }
            return try module(x)
        }
        return try general.run(lookup)
    }
}

/// A layer whose nodes have no counterpart among the modules: it runs its operators.
public final class OperatorLayer: Module {
    private let layer: Layer
    private let nodes: [(index: Int, node: Graph.Node)]
    private let parameterOfRole: [String: Parameter]
    private let bufferOfRole: [String: Buffer]
    /// Own tensors by node and input; absent where another node stands between the constant and the input.
    private var direct: [[Int: Tensor]] = []

    init(_ layer: Layer, _ graph: Graph, _ parameters: [String: Parameter], _ buffers: [String: Buffer]) {
        self.layer = layer
        nodes = layer.nodes.map { ($0, graph.nodes[$0]) }
        parameterOfRole = parameters
        bufferOfRole = buffers
        super.init()
        direct = nodes.map { index, node in
            var own: [Int: Tensor] = [:]
            for slot in layer.parameters + layer.buffers
            where slot.node == index && node.inputs[slot.input] == slot.root {
                own[slot.input] = parameters[slot.role] ?? buffers[slot.role]
            }
            return own
        }
    }

    public override var members: Members {
        Members(
            layer.parameters.map { ($0.role, parameterOfRole[$0.role]) }
                + layer.buffers.map { ($0.role, bufferOfRole[$0.role]) })
    }

    public override var typeName: String { nodes[0].node.opType }

    func run(_ lookup: (ValueID?) -> Tensor?) throws -> Tensor {
        var made: [ValueID: Tensor] = [:]
        var last: Tensor?
        for (position, (_, node)) in nodes.enumerated() {
            let inputs = node.inputs.enumerated().map { input, id in
                direct[position][input] ?? id.flatMap { made[$0] } ?? lookup(id)
            }
            do {
                let outputs = try node.op(inputs)
                if let id = node.outputs[0] { made[id] = outputs[0] }
                last = outputs[0]
            } catch {
                throw GraphError(node, error)
            }
        }
        guard let last else { throw GraphError(layer.path, "has no nodes") }
        return last
    }
}
