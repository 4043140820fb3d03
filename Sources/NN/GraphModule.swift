import Autograd
import GraphIR
import Operators
import TensorCore

/// A graph brought up as modules: each parametric layer under its dotted path, every parameter frozen.
///
/// Values are the file's. `unfreeze(matching:)` finds parameters by path (`layer4.1.conv2.weight`) and by the name of their
/// initializer (`onnx::Conv_193`).
public final class GraphModule: Module {
    /// What is executed; constants that several layers shared in the file are separate here.
    public private(set) var graph: Graph
    /// The graph as it was given: constants as in the file.
    public let source: Graph
    /// The parametric layers in execution order.
    public let layers: [Layer]
    /// The value that classes are decided by.
    public let logits: ValueID
    /// Reshape nodes behind a replaced head into whose target the number of classes is written, and where it is.
    public private(set) var classAxes: [Int: Int] = [:]
    /// For a constant that was shared in the file, the one it was copied from.
    public let origins: [ValueID: ValueID]

    private var layerModules: [GraphLayer]
    /// Of the graph as it is, for one size of pictures.
    private var knownRelations: (size: [Int], relations: BatchRelations)?
    /// By node.
    private let dropouts: [(layer: DropoutLayer, module: Dropout)]
    private let dropoutOfNode: [Int: Dropout]
    /// By a layer's first node.
    private let layerOfNode: [Int: Int]

    /// Addresses of parameters that lead to other outputs than the logits: they stay as they are.
    private let besideLogits: [String]

    /// Builds the modules. Throws `GraphError` when the graph has no input or output.
    ///
    /// - `output`: the output that classes are decided by, or another value; see `Graph.logitsValue`.
    /// - `imageSize`: of the pictures, where the file leaves it open.
    public init(_ source: Graph, output: String? = nil, imageSize: (height: Int, width: Int)? = nil) throws {
        self.source = source
        (graph, origins) = source.unshared()
        logits = try graph.logitsValue(named: output, imageSize: imageSize)
        layers = graph.layers(for: [logits])
        let known = Set(layers.map { $0.nodes[0] })
        besideLogits = graph.layers().filter { !known.contains($0.nodes[0]) }.flatMap { layer in
            layer.parameters.flatMap { ["\(layer.path).\($0.role)", $0.name] }
        }
        layerOfNode = Dictionary(uniqueKeysWithValues: layers.enumerated().map { ($1.nodes[0], $0) })
        dropouts = graph.dropouts(beside: layers).map { ($0, Dropout($0.p)) }
        dropoutOfNode = Dictionary(uniqueKeysWithValues: dropouts.map { ($0.layer.node, $0.module) })
        layerModules = []
        super.init()
        layerModules = layers.map { GraphLayer($0, in: graph, origins: origins) }
    }

    public override var members: Members {
        let parametric = zip(layers, layerModules).map { ($0.nodes[0], $0.path, $1.module) }
        let others = dropouts.map { ($0.layer.node, $0.layer.path, $0.module as Module) }
        return Members((parametric + others).sorted { $0.0 < $1.0 }.map { ($0.1, $0.2) })
    }

    /// Layers in the order in which they run.
    public override var parameterIndex: ParameterIndex {
        var index = ParameterIndex()
        index.heads = headLayers()
        index.beside = besideLogits
        index.besideReason =
            "does not lead to the logits '\(graph.values[logits].name)'; --output-name takes another output"
        for (layer, entry) in zip(layers, layerModules) {
            var positions: [Int] = []
            for (name, parameter) in entry.module.namedParameters() {
                positions.append(index.entries.count)
                index.entries.append(
                    ParameterIndex.Entry(["\(layer.path).\(name)"] + parameter.aliases, count: parameter.count))
            }
            index.layers.append(ParameterIndex.Layer(path: layer.path, parameters: positions))
        }
        return index
    }

    /// The logits for a batch of pictures, shaped as the file's input.
    public override func forward(_ x: Tensor) throws -> Tensor {
        let cut = graph.cut(active: Set(state().map(\.value)), outputs: [logits])
        let result = try run(
            (cut.prefix + cut.suffix).sorted(), [try graph.pictureInput(): x],
            constants: try graph.computeConstants(cut.constant, from: currentConstants()))
        guard let output = result[logits] else { throw GraphError("the graph", "computed no logits") }
        return output
    }

    /// Runs `nodes`, in execution order, on tensors and returns every value that was given or computed.
    ///
    /// - `constants`: values of constants that are not parameters of a layer in `nodes`.
    public func run(
        _ nodes: [Int], _ given: [ValueID: Tensor], constants: [ValueID: NDArray]
    ) throws -> [ValueID: Tensor] {
        var known = given
        var lastUse: [ValueID: Int] = [:]
        for index in nodes { for case let id? in graph.nodes[index].inputs { lastUse[id] = index } }
        for index in nodes {
            let node = graph.nodes[index]
            // A MatMul takes the Add of its bias along; where only the bias trains, the Add comes without the MatMul.
            if case let output?? = node.outputs.first, known[output] != nil { continue }
            do {
                if let position = layerOfNode[index] {
                    let layer = layerModules[position]
                    let output = try layer.run { id in id.flatMap { known[$0] ?? self.constant($0, constants) } }
                    if let id = graph.nodes[layers[position].nodes.last ?? index].outputs[0] { known[id] = output }
                } else if let dropout = dropoutOfNode[index], case let (x?, y?) = (node.inputs[0], node.outputs[0]) {
                    known[y] = try (known[x] ?? constant(x, constants)).map { try dropout($0) }
                } else {
                    let inputs = node.inputs.map { id in id.flatMap { known[$0] ?? self.constant($0, constants) } }
                    for (id, output) in zip(node.outputs, try node.op(inputs)) { if let id { known[id] = output } }
                }
            } catch {
                throw error is GraphError ? error : GraphError(node, error)
            }
            for case let id? in node.inputs where lastUse[id] == index && id != logits && !graph.outputs.contains(id) {
                known[id] = nil
            }
        }
        return known
    }

    /// The module of the layer whose only node this is; nil for other nodes.
    func layerModule(ofNode index: Int) -> Module? {
        guard let position = layerOfNode[index], layers[position].nodes.count == 1 else { return nil }
        return layerModules[position].module
    }

    private func constant(_ id: ValueID, _ constants: [ValueID: NDArray]) -> Tensor? {
        parameter(of: id) ?? constants[id].map { Tensor($0) }
    }

    /// Takes over constants of new shapes for some layers, whose parameters become trainable.
    func adopt(_ changed: Graph, layers positions: [Int], classAxes: [Int: Int]) throws {
        graph = changed
        knownRelations = nil
        self.classAxes = classAxes
        for position in positions {
            layerModules[position] = GraphLayer(layers[position], in: graph, origins: origins)
            for parameter in layerModules[position].module.parameters() { try parameter.requiresGrad_() }
            layerModules[position].module.train(isTraining)
        }
    }

    // MARK: - Parameters by value

    private lazy var parameterOfValue: [ValueID: (layer: Int, role: String)] = {
        var result: [ValueID: (layer: Int, role: String)] = [:]
        for (index, layer) in layers.enumerated() {
            for slot in layer.parameters { result[slot.root] = (index, slot.role) }
        }
        return result
    }()

    /// The parameter that a constant of the graph became; nil for buffers and other constants.
    public func parameter(of value: ValueID) -> Parameter? {
        guard let (layer, role) = parameterOfValue[value] else { return nil }
        return layerModules[layer].parameters[role]
    }

    /// Constants of the graph with the present values of parameters and buffers in their place.
    public func currentConstants() -> [ValueID: NDArray] {
        var result = graph.constants
        for (value, tensor) in state() { result[value] = tensor.array }
        return result
    }

    /// Every parameter and buffer by the constant it came from.
    public func state() -> [(value: ValueID, tensor: Tensor)] {
        zip(layers, layerModules).flatMap { layer, entry -> [(value: ValueID, tensor: Tensor)] in
            layer.parameters.compactMap { slot in entry.parameters[slot.role].map { (slot.root, $0) } }
                + layer.buffers.compactMap { slot in entry.buffers[slot.role].map { (slot.root, $0) } }
        }
    }

    // MARK: - Cut

    /// The nodes that behave differently while training: Dropout, and batch norms that follow the batch.
    public func nodesActiveInTraining() -> Set<Int> {
        var result = Set(dropoutOfNode.keys)
        for (layer, entry) in zip(layers, layerModules) {
            if let norm = entry.module as? BatchNorm2d, !norm.frozenStatistics { result.insert(layer.nodes[0]) }
        }
        return result
    }

    /// Divides the graph at the parameters that require gradients.
    ///
    /// - `relations`: as for `Graph.cut`.
    public func cut(training: Bool = true, relations: BatchRelations? = nil) -> Cut {
        let unfrozen = state().filter { $0.tensor.requiresGrad }.map(\.value)
        return graph.cut(
            active: Set(unfrozen), activeNodes: training ? nodesActiveInTraining() : [], outputs: [logits],
            relations: relations)
    }

    /// What values are to a batch of pictures of `imageSize`: of any number of pictures where the graph allows that, of the
    /// file's fixed number where only that gives each picture its own logits.
    ///
    /// Throws `GraphError` naming the node that a batch does not fit.
    public func batchRelations(imageSize: (height: Int, width: Int)? = nil) throws -> BatchRelations {
        let size = imageSize.map { [$0.height, $0.width] } ?? []
        if let known = knownRelations, known.size == size { return known.relations }
        let found = try findRelations(imageSize)
        knownRelations = (size, found)
        return found
    }

    private func findRelations(_ imageSize: (height: Int, width: Int)?) throws -> BatchRelations {
        let open = Result { try BatchRelations(graph, imageSize: imageSize) }
        guard let batch = graph.fixedBatch, batch > 0 else { return try open.get() }
        if case .success(let open) = open, open.axis(logits) != nil { return open }
        guard let closed = try? BatchRelations(graph, imageSize: imageSize, closedBatch: batch) else {
            return try open.get()
        }
        return closed
    }

    /// Logits as the graph has them as rows of pictures, `[N, classes]`.
    public func rowsOfLogits(_ logits: Tensor, _ relations: BatchRelations) throws -> Tensor {
        guard let axis = relations.axis(self.logits) else {
            // A head that keeps spatial axes of size 1 (a 1x1 convolution) still means one row of logits per picture.
            guard logits.rank != 2, let batch = logits.shape.first, batch > 0 else { return logits }
            return logits.reshape([batch, logits.count / batch])
        }
        if axis.isLeading && logits.rank == 2 { return logits }
        let (outer, inner) = (axis.outer(logits.shape), axis.inner(logits.shape))
        let count = outer * inner == 0 ? 0 : logits.count / (outer * inner)
        if outer == 1 { return logits.reshape([count, inner]) }
        return logits.reshape([outer, count, inner]).permute([1, 0, 2]).reshape([count, outer * inner])
    }

    /// Makes the zeros that dropouts draw next depend on `random` alone.
    public func reseedDropouts(_ random: RandomSource) {
        for (index, dropout) in dropouts.enumerated() { dropout.module.random = random.split(index) }
    }

    /// Batch norms use and keep their running statistics, in `train()` too.
    public func setFrozenStatistics(_ isFrozen: Bool) {
        for case let norm as BatchNorm2d in modules() { norm.frozenStatistics = isFrozen }
    }
}
