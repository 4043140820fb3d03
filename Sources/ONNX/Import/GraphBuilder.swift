import GraphIR
import Operators
import TensorCore

/// How a file becomes a graph.
public struct ImportOptions: Sendable {
    /// Compute in `float32` whatever floating type the file uses. Export writes each tensor back in its own type.
    public var computesInFloat32: Bool
    /// False for who wants to know what a file holds: large weights are then zeros that take no memory.
    public var readsWeights: Bool

    public init(computesInFloat32: Bool = true) { self.init(computesInFloat32: computesInFloat32, readsWeights: true) }

    public init(computesInFloat32: Bool = true, readsWeights: Bool) {
        self.computesInFloat32 = computesInFloat32
        self.readsWeights = readsWeights
    }
}

extension ModelFile {
    /// The file's graph with operators resolved and functions inlined.
    ///
    /// Constant nodes become constants; an initializer that is also listed as an input is a constant. Throws `ONNXError`
    /// naming every operator that is not supported, or the node that cannot be read.
    public func graph(_ options: ImportOptions = ImportOptions()) throws -> Graph {
        try GraphBuilder(file: self, options: options).build()
    }

    /// Operators of the file that are not supported, with the number of nodes of each: `MeanVarianceNormalization`,
    /// `com.microsoft.FusedConv`.
    public func unsupportedOperators() throws -> [(name: String, count: Int)] {
        var counts: [String: Int] = [:]
        for node in try executedNodes().nodes where GraphBuilder.operatorType(node) == nil {
            counts[GraphBuilder.fullName(node), default: 0] += 1
        }
        return counts.sorted { $0.key < $1.key }.map { (name: $0.key, count: $0.value) }
    }

    /// What the graph computes, in execution order: functions, branches and loops that can be told inlined, labels left out.
    func executedNodes() throws -> (nodes: [NodeProto], initializers: [TensorProto], outputs: [String]) {
        let nodes = try FunctionInliner(model: model, file: path).inlined()
        let labels = LabelNodes(nodes, outputs: model.graph.outputs.map(\.name))
        let inliner = try ControlFlowInliner(file: self, nodes: labels.nodes)
        return (inliner.nodes, inliner.initializers, labels.outputs)
    }
}

struct GraphBuilder {
    let file: ModelFile
    let options: ImportOptions
    private var graph = Graph()
    private var ids: [String: ValueID] = [:]
    /// What tensors in attributes hold, by ordinal: every call of a function shares its constants.
    private var attributeArrays: [Int: NDArray] = [:]

    init(file: ModelFile, options: ImportOptions) {
        self.file = file
        self.options = options
    }

    static func operatorType(_ node: NodeProto) -> (any Operator.Type)? {
        OperatorRegistry.find(fullName(node))
    }

    static func fullName(_ node: NodeProto) -> String {
        let domain = standardDomain(node.domain)
        return domain.isEmpty ? node.opType : "\(domain).\(node.opType)"
    }

    func build() throws -> Graph {
        var builder = self
        let executed = try file.executedNodes()
        try builder.addValues(executed.initializers)
        let unsupported = Set(executed.nodes.filter { GraphBuilder.operatorType($0) == nil }.map(GraphBuilder.fullName))
        _ = try supportedOpset()
        guard !file.model.graph.outputs.isEmpty else { throw refusal("the graph has no output") }
        guard unsupported.isEmpty else {
            throw refusal(
                "uses operators that are not supported: \(unsupported.sorted().joined(separator: ", ")) "
                    + "(docs/operators.md lists those that are)")
        }
        try builder.add(executed.nodes)
        let declared = Dictionary(
            file.model.graph.outputs.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        for output in executed.outputs {
            guard let id = builder.ids[output] else { throw refusal("output '\(output)' is made by no node") }
            builder.graph.outputs.append(id)
            builder.graph.values[id].declared = declared[output].flatMap { builder.declaredType($0) }
        }
        return builder.graph
    }

    /// The part of a file's graph that makes one value: `nodes`, of which every one must be supported.
    static func part(
        of file: ModelFile, nodes: [NodeProto], constants: [TensorProto], output: String
    ) throws -> Graph {
        var builder = GraphBuilder(file: file, options: ImportOptions())
        guard nodes.allSatisfy({ operatorType($0) != nil }) else { throw builder.refusal("is not supported") }
        let read = Set(nodes.flatMap(\.inputs) + [output])
        try builder.addValues(constants, where: { read.contains($0) })
        try builder.add(nodes)
        builder.graph.outputs = [builder.id(output)]
        return builder.graph
    }

    private mutating func add(_ nodes: [NodeProto]) throws {
        let opset = try supportedOpset()
        for node in nodes {
            // Every domain that a node names is imported: the file's checks saw to that.
            let isDefault = standardDomain(node.domain).isEmpty
            let version =
                isDefault ? opset : file.model.opsetVersion(domain: node.domain).map { Int(clamping: $0) } ?? 1
            try add(node, opset: version)
        }
    }

    private func supportedOpset() throws -> Int {
        guard let opset = file.model.opsetVersion() else {
            throw refusal("does not say which version of ONNX's operator set it uses (opset_import)")
        }
        guard opset >= 1, opset <= OperatorSet.newest else {
            throw refusal("uses operator set \(opset); supported are 1 to \(OperatorSet.newest)")
        }
        return Int(opset)
    }

    private func refusal(_ reason: String) -> ONNXError { ONNXError(file.path, .invalidModel, reason) }

    private mutating func id(_ name: String) -> ValueID {
        if let id = ids[name] { return id }
        let id = graph.addValue(name)
        ids[name] = id
        return id
    }

    /// Initializers, `more` included, and inputs, of those names.
    private mutating func addValues(
        _ more: [TensorProto], where isWanted: (String) -> Bool = { _ in true }
    ) throws {
        for tensor in file.model.graph.initializers + more where isWanted(tensor.name) {
            graph.constants[id(tensor.name)] = try elements(tensor)
        }
        if let sparse = file.model.graph.sparseInitializerNames.first {
            throw refusal("initializer '\(sparse)' is sparse, which is not supported")
        }
        for input in file.model.graph.inputs where isWanted(input.name) {
            let value = id(input.name)
            graph.values[value].declared = declaredType(input)
            if graph.constants[value] == nil { graph.inputs.append(value) }
        }
    }

    private func elements(_ tensor: TensorProto) throws -> NDArray {
        try options.readsWeights
            ? computing(tensor.array()) : tensor.outline(as: options.computesInFloat32 ? .float32 : nil)
    }

    private func computing(_ array: NDArray) -> NDArray {
        guard options.computesInFloat32, array.dtype.isFloatingPoint, array.dtype != .float32 else { return array }
        return array.converted(to: .float32)
    }

    private func declaredType(_ info: ValueInfoProto) -> Graph.DeclaredType? {
        guard case .tensor(let elementType, let shape?) = info.type, var dtype = elementType.dtype else { return nil }
        if options.computesInFloat32 && dtype.isFloatingPoint { dtype = .float32 }
        return Graph.DeclaredType(
            dtype,
            shape.map { dimension in
                switch dimension {
                case .value(let size): size >= 0 ? .fixed(Int(size)) : .unknown
                case .parameter(let name): .symbolic(name)
                case .unknown: .unknown
                }
            })
    }

    private mutating func add(_ node: NodeProto, opset: Int) throws {
        guard let type = GraphBuilder.operatorType(node) else { return }
        do {
            guard type.opsets.contains(opset) else {
                throw ShapeError(
                    node.opType,
                    "is supported from version \(type.opsets.lowerBound) of the operator set on, the model uses "
                        + "version \(opset)")
            }
            try check(node.inputs, "inputs", atMost: type.maximumInputs, of: node)
            try check(node.outputs, "outputs", atMost: type.maximumOutputs, of: node)
            let attributes = try attributes(of: node, opset: opset)
            let op = try type.init(attributes)
            let inputs = node.inputs.map { $0.isEmpty ? nil : id($0) }
            let outputs = node.outputs.map { $0.isEmpty ? nil : id($0) }
            if node.opType == Op.Constant.opType {
                guard let output = outputs.first ?? nil, let value = try op.forward([]).first else { return }
                graph.constants[output] = computing(value)
                graph.constantNodeValues.insert(output)
                return
            }
            graph.nodes.append(
                Graph.Node(
                    name: node.name.isEmpty ? node.outputs.first ?? "" : node.name, op: op, inputs: inputs,
                    outputs: outputs, scope: ScopeName.of(node), attributes: attributes, position: node.position))
        } catch let error as ShapeError {
            throw refusal("\(node.label): \(error.reason)")
        }
    }

    /// Refuses names beyond those that the operator has a place for; names left out at the end do not count.
    private func check(_ names: [String], _ what: String, atMost limit: Int, of node: NodeProto) throws {
        let count = names.lastIndex { !$0.isEmpty }.map { $0 + 1 } ?? 0
        guard count <= limit else {
            throw ShapeError(node.opType, "got \(count) \(what), expected at most \(limit)")
        }
    }

    private mutating func array(_ tensor: TensorProto) throws -> NDArray {
        if let known = tensor.ordinal.flatMap({ attributeArrays[$0] }) { return known }
        let array = try elements(tensor)
        if let ordinal = tensor.ordinal { attributeArrays[ordinal] = array }
        return array
    }

    private mutating func attributes(of node: NodeProto, opset: Int) throws -> NodeAttributes {
        var values: [String: Operators.AttributeValue] = [:]
        for attribute in node.attributes {
            switch attribute.value {
            case .int(let value): values[attribute.name] = .int(Int(value))
            case .float(let value): values[attribute.name] = .float(value)
            case .string(let value): values[attribute.name] = .string(value)
            case .ints(let value): values[attribute.name] = .ints(value.map { Int($0) })
            case .floats(let value): values[attribute.name] = .floats(value)
            case .strings(let value): values[attribute.name] = .strings(value)
            case .tensor(let value): values[attribute.name] = .tensor(try array(value))
            case .graph, .graphs:
                throw ShapeError(node.opType, "attribute '\(attribute.name)' holds a subgraph, which is not supported")
            case .reference(let name):
                throw ShapeError(node.opType, "attribute '\(attribute.name)' refers to '\(name)' outside of a function")
            case .tensors, .unsupported:
                throw ShapeError(
                    node.opType,
                    "attribute '\(attribute.name)' has type \(attribute.value.typeName), which is not supported")
            }
        }
        if options.computesInFloat32 { castToFloat32(&values, of: node) }
        return NodeAttributes(
            opType: GraphBuilder.fullName(node), opset: opset, inputCount: node.inputs.count,
            outputCount: node.outputs.count, values)
    }

    /// A Cast between floating types must not bring back the type that the constants were converted from.
    private func castToFloat32(_ values: inout [String: Operators.AttributeValue], of node: NodeProto) {
        for name in ["to", "dtype"] {
            guard case .int(let code)? = values[name],
                let dtype = TensorProto.DataType(rawValue: Int32(truncatingIfNeeded: code)).dtype, dtype.isFloatingPoint
            else { continue }
            values[name] = .int(Int(TensorProto.DataType.float.rawValue))
        }
    }
}

/// The dotted path of the module that an exporter recorded for a node.
enum ScopeName {
    /// The entry of a node's metadata that holds it.
    static func entry(in metadata: [StringStringEntryProto]) -> StringStringEntryProto? {
        metadata.first { $0.key == "pkg.torch.onnx.name_scopes" }
    }

    /// From dynamo's metadata, or from a node name such as `/layer4/layer4.1/conv2/Conv`.
    static func of(_ node: NodeProto) -> String? {
        if let scopes = entry(in: node.metadataProps)?.value {
            // A Python list of strings: the enclosing modules, the model itself as '', then the node.
            let parts = scopes.split(separator: "'", omittingEmptySubsequences: false)
            let names = parts.enumerated().filter { $0.offset % 2 == 1 }.map { String($0.element) }
            if let last = names.dropLast().last(where: { !$0.isEmpty }) { return last }
        }
        return path(fromNodeName: node.name)
    }

    /// `layer4.1.conv2` of `/layer4/layer4.1/conv2/Conv`: a component that repeats the one before it replaces it.
    static func path(fromNodeName name: String) -> String? {
        var components = name.split(separator: "/").map(String.init)
        guard components.count >= 2 else { return nil }
        components.removeLast()
        var path: [String] = []
        for component in components {
            if let last = path.last, component.hasPrefix(last + ".") { path.removeLast() }
            path.append(component)
        }
        return path.joined(separator: ".")
    }
}
