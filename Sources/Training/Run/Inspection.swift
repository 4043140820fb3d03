import GraphIR
import NN
import ONNX
import TensorCore

/// What `finetune inspect` tells of a model; weights are not read.
public struct Inspection: Encodable, Sendable {
    /// An input or output of the model.
    public struct Tensor: Encodable, Sendable {
        public var name: String
        public var shape: [Size]
        public var dtype: String
    }
    /// One dimension: a number, or a text such as `N` or `?`; JSON has each as what it is.
    public struct Size: Encodable, Sendable, CustomStringConvertible {
        public var description: String

        init(_ text: String) { description = text }

        public func encode(to encoder: any Encoder) throws {
            var container = encoder.singleValueContainer()
            if let number = Int(description) {
                try container.encode(number)
            } else {
                try container.encode(description)
            }
        }
    }
    /// A weight or bias.
    public struct Parameter: Encodable, Sendable {
        public var name: String
        public var shape: [Int]
        public var dtype: String
    }
    /// A layer with parameters.
    public struct LayerEntry: Encodable, Sendable {
        public var path: String
        public var `operator`: String
        public var parameters: [Parameter]
        /// With `N` for the batch.
        public var outputShape: [Size]
        /// Nodes that stay frozen when this layer is the first one unfrozen.
        public var frozenNodes: Int
        public var trainableNodes: Int
    }

    public var inputs: [Tensor]
    public var outputs: [Tensor]
    public var opset: Int
    public var irVersion: Int
    public var producer: String
    public var layers: [LayerEntry]
    /// Operators without support, with the number of nodes of each.
    public var unsupported: [String: Int]
    /// How the frozen model would run, when that was asked for.
    public var plan: PlanDescription?

    /// Reads the model at `path`; with `planBatch` also says how it would run on that many pictures at a time.
    ///
    /// Throws `ONNXError`, and `SettingError` for a size out of its range.
    public init(path: String, imageSize: Int? = nil, planBatch: Int? = nil) throws {
        try SettingRange.check(imageSize, SettingRange.pixels, "--image-size")
        try SettingRange.check(planBatch, SettingRange.batchSize, "--batch-size")
        let file = try ModelFile.read(path)
        let model = file.model
        irVersion = Int(model.irVersion)
        opset = Int(model.opsetVersion() ?? 0)
        producer = [model.producerName, model.producerVersion].filter { !$0.isEmpty }.joined(separator: " ")
        let constants = Set(model.graph.initializers.map(\.name))
        inputs = model.graph.inputs.filter { !constants.contains($0.name) }.map(Inspection.tensor)
        outputs = model.graph.outputs.map(Inspection.tensor)
        unsupported = Dictionary(
            try file.unsupportedOperators().map { ($0.name, $0.count) }, uniquingKeysWith: { first, _ in first })
        layers = []
        guard unsupported.isEmpty else { return }
        let module = try ONNXError.naming(path) {
            // A plan folds and packs weights.
            try ImportedModel(
                file: file, imageSize: imageSize.map { ($0, $0) },
                options: ImportOptions(readsWeights: planBatch != nil)
            ).module
        }
        layers = Inspection.layers(of: module, imageSize: imageSize)
        plan = try ONNXError.naming(path) {
            try planBatch.map { try Inspection.plan(of: module, imageSize: imageSize, batch: $0) }
        }
    }

    /// Bytes of input that a plan is made for.
    private static let largestInput = 4 << 30

    /// The plan of the whole model, as evaluation and prediction run it.
    private static func plan(of module: GraphModule, imageSize: Int?, batch: Int) throws -> PlanDescription {
        let graph = module.graph, size = imageSize ?? openSize(graph)
        let relations = try module.batchRelations(imageSize: size.map { ($0, $0) })
        let cut = graph.cut(active: [], outputs: [module.logits], relations: relations)
        let infos = try graph.inputInfos(batch: batch, imageSize: size.map { ($0, $0) })
        for (id, info) in infos {
            guard let bytes = checkedElementCount(info.shape, bytesPerElement: 4), bytes <= largestInput else {
                throw SettingError(
                    "--batch-size",
                    "\(batch) pictures make '\(graph.values[id].name)' \(info.shape); expected at most \(largestInput >> 20) MB"
                )
            }
        }
        let given = graph.constants.merging(relations.known) { own, _ in own }
        // What is not of pictures runs behind the boundary, as in training.
        let plan = InferencePlan(
            graph, nodes: (cut.prefix + cut.suffix).sorted(),
            constants: try graph.computeConstants(cut.constant, from: given), results: [module.logits],
            relations: relations, counted: cut.counted)
        return try plan.describe(infos[graph.pictureInput()]?.shape ?? [])
    }

    private static func tensor(_ info: ValueInfoProto) -> Tensor {
        guard case .tensor(let elementType, let shape) = info.type else {
            return Tensor(name: info.name, shape: [], dtype: "unknown")
        }
        return Tensor(
            name: info.name, shape: shape?.map { Size($0.description) } ?? [Size("?")],
            dtype: elementType.dtype?.description ?? elementType.description)
    }

    private static func layers(of module: GraphModule, imageSize: Int?) -> [LayerEntry] {
        let graph = module.graph
        // Shapes at two batch sizes tell which dimensions follow the batch; a model whose picture size is open has none.
        let size = imageSize ?? openSize(graph)
        let shapes = [2, 3].map { batch in
            (try? graph.infer(graph.inputInfos(batch: batch, imageSize: size.map { ($0, $0) }))) ?? []
        }
        // As `finetune train` does by default.
        module.setFrozenStatistics(true)
        let sizes = graph.cutSizes(
            module.layers.map { $0.parameters.map(\.root) }, activeNodes: module.nodesActiveInTraining(),
            outputs: [module.logits])
        return zip(module.layers, sizes).map { layer, sizes in
            let node = graph.nodes[layer.nodes[0]]
            let output = graph.nodes[layer.nodes.last ?? 0].outputs.first ?? nil
            var shape = ["?"]
            if let output, shapes.allSatisfy({ output < $0.count }), let a = shapes[0][output],
                let b = shapes[1][output],
                a.shape.count == b.shape.count
            {
                shape = zip(a.shape, b.shape).map {
                    $0 == $1 ? "\($0)" : $0 * 3 == $1 * 2 && $0 > 2 ? "\($0 / 2)N" : "N"
                }
            }
            return LayerEntry(
                path: layer.path, operator: node.opType,
                parameters: layer.parameters.compactMap { slot in
                    graph.constants[slot.root].map {
                        Parameter(name: "\(layer.path).\(slot.role)", shape: $0.shape, dtype: "\($0.dtype)")
                    }
                }, outputShape: shape.map { Size($0) }, frozenNodes: sizes.frozen, trainableNodes: sizes.trainable)
        }
    }

    private static func openSize(_ graph: Graph) -> Int? {
        guard let input = try? PictureInput(graph), input.height == nil || input.width == nil else { return nil }
        return LoadedModel.standardSide
    }

    /// The same for reading.
    public var lines: [String] {
        func text(_ tensor: Tensor) -> String {
            "\(tensor.name) \(tensor.dtype) [\(tensor.shape.map(\.description).joined(separator: ", "))]"
        }
        var lines = [
            "opset \(opset), IR version \(irVersion), producer \(producer.isEmpty ? "unknown" : producer)",
            "inputs: \(inputs.map(text).joined(separator: "; "))",
            "outputs: \(outputs.map(text).joined(separator: "; "))",
        ]
        if !unsupported.isEmpty {
            let names = unsupported.sorted { $0.key < $1.key }.map { "\($0.key) (\($0.value))" }
            lines.append("not supported: \(names.joined(separator: ", "))")
        }
        guard !layers.isEmpty else { return lines }
        lines += layerLines
        if let plan { lines += [""] + plan.lines }
        return lines
    }

    private var layerLines: [String] {
        var lines: [String] = []
        let rows = layers.map { layer in
            [
                layer.path, layer.operator,
                layer.parameters.map { "\($0.name.dropFirst(layer.path.count + 1)) \($0.shape)" }.joined(
                    separator: " "),
                "[\(layer.outputShape.map(\.description).joined(separator: ", "))]",
                "\(layer.frozenNodes)/\(layer.trainableNodes)",
            ]
        }
        let header = ["layer", "operator", "parameters", "output", "nodes"]
        let widths = (0..<4).map { column in ([header] + rows).map { $0[column].count }.max() ?? 0 }
        lines.append("")
        for row in [header] + rows {
            let cells = row.enumerated().map { column, cell in
                column < 4 ? cell + String(repeating: " ", count: widths[column] - cell.count) : cell
            }
            lines.append(cells.joined(separator: "  "))
        }
        lines.append("nodes: how many stay frozen / train when the layer is the first one unfrozen")
        return lines
    }
}
