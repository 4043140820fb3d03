import Files
import TensorCore

/// Applies edits to the fields of a model file.
struct ModelPatch {
    let file: ModelFile
    private(set) var message: WireMessage
    /// Changes by the tensors' ordinals.
    var tensorEdits: [Int: TensorEdit] = [:]
    /// What the replaced tensors hold in the written file, by ordinal; for reading back.
    private(set) var expected: [Int: NDArray] = [:]
    private var removedNodes: Set<Int> = []
    private var addedInitializers: [ModelEdits.NewInitializer] = []
    /// New shapes of tensors.
    private var reshaped: [String: [Int]] = [:]

    private var graph: GraphProto { file.model.graph }

    init(_ file: ModelFile) throws {
        self.file = file
        self.message = try file.bytes.withUnsafeBytes { try WireMessage($0, 0..<$0.count) }
    }

    /// Finds what `edits` name and notes the changes. `commit` makes them.
    mutating func plan(_ edits: ModelEdits) throws {
        for new in edits.newInitializers { try add(new) }
        let initializers = Dictionary(
            (graph.initializers + graph.branchInitializers).map { ($0.name, $0) },
            uniquingKeysWith: { first, _ in first })
        let producers = graph.producers()
        for (name, array) in edits.tensors.sorted(by: { $0.key < $1.key }) {
            if let tensor = initializers[name] {
                try replace(tensor, called: name, with: array)
            } else if let index = producers[name] {
                try replaceOutput(name, of: index, with: array)
            } else {
                throw fail(
                    "there is no tensor '\(name)' in its main graph to replace; weights of functions, and of branches that share a name, must stay frozen"
                )
            }
        }
        for new in edits.newInitializers {
            let isInput = graph.inputs.contains { $0.name == new.name }
            guard initializers[new.name] == nil, producers[new.name] == nil || new.replacesNode, !isInput else {
                throw fail("the new initializer '\(new.name)' would hide a value of the same name")
            }
            if let index = producers[new.name] { try remove(index, for: new.name) }
        }
    }

    private mutating func replace(_ tensor: TensorProto, called name: String, with array: NDArray) throws {
        let old = try tensor.array()
        let new = try fitting(array, tensor.dataType, called: name)
        if new.isBitIdentical(to: old) { return }
        guard let ordinal = tensor.ordinal else { throw fail("tensor '\(name)' did not come from this file") }
        if old.shape != new.shape { reshaped[name] = new.shape }
        tensorEdits[ordinal] = TensorEdit(
            elements: .array(new), storage: .same, dims: old.shape == new.shape ? nil : new.shape)
        expected[ordinal] = new
    }

    private mutating func replaceOutput(_ name: String, of index: Int, with array: NDArray) throws {
        if let tensor = graph.nodes[index].constantTensor {
            if tensor.ordinal != nil { return try replace(tensor, called: name, with: array) }
            // A Constant of plain numbers, which has no field for a tensor.
            let old = try tensor.array()
            if try fitting(array, tensor.dataType, called: name).isBitIdentical(to: old) { return }
            if old.shape != array.shape { reshaped[name] = array.shape }
        }
        try remove(index, for: name)
        try add(ModelEdits.NewInitializer(name: name, array: array, dataType: graph.constantType(of: name)))
    }

    private mutating func add(_ new: ModelEdits.NewInitializer) throws {
        var new = new
        new.array = try fitting(new.array, new.dataType, called: new.name)
        addedInitializers.append(new)
    }

    /// `array` in the tensor's own type. Throws for another kind of number and for numbers that the type cannot hold.
    private func fitting(_ array: NDArray, _ type: TensorProto.DataType, called name: String) throws -> NDArray {
        guard let dtype = type.dtype, dtype.isFloatingPoint == array.dtype.isFloatingPoint else {
            throw fail("tensor '\(name)': elements of \(array.dtype) do not fit into \(type)")
        }
        let new = array.converted(to: dtype)
        guard dtype.isFloatingPoint else {
            guard new.converted(to: array.dtype).isBitIdentical(to: array) else {
                throw fail("tensor '\(name)': holds numbers that \(type) cannot")
            }
            return new
        }
        // What is infinite already may stay so.
        if dtype == array.dtype || new.allFinite() { return new }
        guard !zip(array.doubles(), new.doubles()).contains(where: { $0.isFinite && !$1.isFinite }) else {
            throw fail("tensor '\(name)': numbers are too large for \(type)")
        }
        return new
    }

    private mutating func remove(_ index: Int, for name: String) throws {
        guard graph.nodes[index].outputs.filter({ !$0.isEmpty }).count == 1 else {
            throw fail(
                "'\(name)' is one of several outputs of \(graph.nodes[index].label) and cannot become an initializer")
        }
        removedNodes.insert(index)
    }

    /// Makes the planned changes and those of `edits` that need no planning.
    mutating func commit(_ edits: ModelEdits) throws {
        try editTensors()
        let shapes = reshaped.mapValues { $0.map { .value(Int64($0)) } }.merging(edits.shapes) { _, given in given }
        if !shapes.isEmpty || !edits.rewiredInputs.isEmpty || !edits.inferenceNodes.isEmpty || !removedNodes.isEmpty
            || !addedInitializers.isEmpty
        {
            try editGraph(shapes: shapes, rewired: edits.rewiredInputs, inference: edits.inferenceNodes)
        }
        try setMetadata(edits.metadata)
    }

    private func fail(_ reason: String) -> ONNXError { ONNXError(file.path, .export, reason) }

    // MARK: - Tensors anywhere in the file

    /// Walks the messages in the order of their bytes, which is the order the scanner numbered tensors in.
    private mutating func editTensors() throws {
        guard !tensorEdits.isEmpty else { return }
        let tensors = file.model.tensorsByOrdinal
        let edits = tensorEdits
        var next = 0
        let schema = WireSchema.onnx
        try file.bytes.withUnsafeBytes { bytes in
            /// Returns the changed message, or nil when nothing in it changed.
            func walk(_ message: WireMessage, _ kind: WireSchema.Message) throws -> WireMessage? {
                if kind.isTensor {
                    defer { next += 1 }
                    guard let edit = edits[next], let tensor = tensors[next] else { return nil }
                    var changed = message
                    try edit.apply(to: &changed, tensor: tensor)
                    return changed
                }
                var changed: WireMessage?
                for (position, part) in message.parts.enumerated() {
                    guard case .original(let field) = part, case .message(let index)? = kind.field(field.field)?.kind,
                        let child = try walk(WireMessage(bytes, field.value), schema.messages[index])
                    else { continue }
                    changed = changed ?? message
                    changed?.replace(at: position, with: .message(field: field.field, child))
                }
                return changed
            }
            if let changed = try walk(message, schema.messages[0]) { message = changed }
        }
    }

    // MARK: - The graph

    private mutating func editGraph(
        shapes: [String: [TypeProto.Dimension]], rewired: [ModelEdits.NodeInput: String], inference: Set<Int>
    ) throws {
        let removed = removedNodes
        let added = addedInitializers
        let needsInputs = file.model.irVersion < 4
        let nodeCount = graph.nodes.count
        let norms = inference.filter { graph.nodes[$0].opType == "BatchNormalization" }
        for input in rewired.keys {
            guard graph.nodes.indices.contains(input.node), graph.nodes[input.node].inputs.indices.contains(input.input)
            else { throw fail("there is no input \(input.input) of node \(input.node) to rewire") }
        }
        try file.bytes.withUnsafeBytes { bytes in
            guard let position = message.positions(of: FieldNumber.Model.graph).first else { return }
            try message.edit(at: position, in: bytes) { graph in
                let nodes = graph.positions(of: FieldNumber.Graph.node)
                precondition(nodes.count == nodeCount, "nodes of the file and of the model differ")
                for (input, name) in rewired.sorted(by: { ($0.key.node, $0.key.input) < ($1.key.node, $1.key.input) }) {
                    try graph.edit(at: nodes[input.node], in: bytes) { node in
                        let inputs = node.positions(of: FieldNumber.Node.input)
                        // An earlier rewiring of this node has replaced its field; positions shift by those before.
                        let done = rewired.keys.filter { $0.node == input.node && $0.input < input.input }.count
                        node.replace(
                            at: inputs[input.input - done],
                            with: .encoded(WireEncoder { $0.text(FieldNumber.Node.input, name) }.bytes))
                    }
                }
                for index in inference {
                    try graph.edit(at: nodes[index], in: bytes) {
                        try ModelPatch.setInference(&$0, isNorm: norms.contains(index), bytes)
                    }
                }
                for index in removed { graph.remove(at: nodes[index]) }
                try ModelPatch.setShapes(shapes, in: &graph, bytes: bytes)
                for initializer in added {
                    graph.append(.message(field: FieldNumber.Graph.initializer, ModelPatch.tensor(initializer)))
                    if needsInputs { graph.append(.encoded(ModelPatch.graphInput(initializer))) }
                }
            }
        }
    }

    /// Takes a batch norm's or a dropout's training mode away: an attribute with further outputs, or the third input.
    private static func setInference(
        _ node: inout WireMessage, isNorm: Bool, _ bytes: UnsafeRawBufferPointer
    ) throws {
        let field = FieldNumber.Node.self
        guard isNorm else {
            for position in node.positions(of: field.input).dropFirst(2) { node.remove(at: position) }
            return
        }
        for position in node.positions(of: field.output).dropFirst() { node.remove(at: position) }
        for position in node.positions(of: field.attribute) {
            guard case .original(let part) = node.parts[position] else { continue }
            let attribute = try WireMessage(bytes, part.value)
            let name = attribute.positions(of: FieldNumber.Attribute.name).first
            if let name, attribute.text(at: name, in: bytes) == "training_mode" { node.remove(at: position) }
        }
    }

    private static func tensor(_ new: ModelEdits.NewInitializer) -> WireMessage {
        var message = WireMessage()
        let head = WireEncoder { encoder in
            for dim in new.array.shape { encoder.int(FieldNumber.Tensor.dims, Int64(dim)) }
            encoder.int(FieldNumber.Tensor.dataType, Int64(new.dataType.rawValue))
            encoder.text(FieldNumber.Tensor.name, new.name)
        }
        message.append(.encoded(head.bytes))
        message.append(TensorEdit.part(new.array, form: .raw))
        return message
    }

    /// Before IR version 4 every initializer is a graph input as well.
    private static func graphInput(_ new: ModelEdits.NewInitializer) -> [UInt8] {
        WireEncoder { encoder in
            encoder.message(FieldNumber.Graph.input) { info in
                info.text(FieldNumber.ValueInfo.name, new.name)
                info.message(FieldNumber.ValueInfo.type) { type in
                    type.message(FieldNumber.TypeOfValue.tensor) { tensor in
                        tensor.int(FieldNumber.TensorType.elementType, Int64(new.dataType.rawValue))
                        tensor.message(FieldNumber.TensorType.shape) { shape in
                            for dim in new.array.shape {
                                shape.message(FieldNumber.Shape.dim) {
                                    $0.int(FieldNumber.Dimension.value, Int64(dim))
                                }
                            }
                        }
                    }
                }
            }
        }.bytes
    }

    // MARK: - Shapes

    private static func setShapes(
        _ shapes: [String: [TypeProto.Dimension]], in graph: inout WireMessage, bytes: UnsafeRawBufferPointer
    ) throws {
        guard !shapes.isEmpty else { return }
        let fields = [FieldNumber.Graph.input, FieldNumber.Graph.output, FieldNumber.Graph.valueInfo]
        for position in fields.flatMap({ graph.positions(of: $0) }) {
            guard case .original(let field) = graph.parts[position] else { continue }
            let info = try WireMessage(bytes, field.value)
            guard let name = info.positions(of: FieldNumber.ValueInfo.name).first,
                let dims = info.text(at: name, in: bytes).flatMap({ shapes[$0] })
            else { continue }
            try graph.edit(at: position, in: bytes) { try setShape(dims, in: &$0, bytes: bytes) }
        }
    }

    /// Changes only the dimensions that differ, so that names and denotations of the others stay.
    private static func setShape(
        _ dims: [TypeProto.Dimension], in info: inout WireMessage, bytes: UnsafeRawBufferPointer
    ) throws {
        guard let type = info.positions(of: FieldNumber.ValueInfo.type).first else { return }
        try info.edit(at: type, in: bytes) { type in
            guard let tensor = type.positions(of: FieldNumber.TypeOfValue.tensor).first else { return }
            try type.edit(at: tensor, in: bytes) { tensor in
                guard let shape = tensor.positions(of: FieldNumber.TensorType.shape).first else { return }
                try tensor.edit(at: shape, in: bytes) { shape in
                    let old = shape.positions(of: FieldNumber.Shape.dim)
                    if old.count != dims.count {
                        for position in old { shape.remove(at: position) }
                        for dim in dims { shape.append(.encoded(encoded(dim))) }
                        return
                    }
                    for (position, dim) in zip(old, dims) where encodedDiffers(dim, shape, position, bytes) {
                        shape.replace(at: position, with: .encoded(encoded(dim)))
                    }
                }
            }
        }
    }

    private static func encoded(_ dim: TypeProto.Dimension) -> [UInt8] {
        WireEncoder {
            $0.message(FieldNumber.Shape.dim) {
                switch dim {
                case .value(let size): $0.int(FieldNumber.Dimension.value, size)
                case .parameter(let name): $0.text(FieldNumber.Dimension.parameter, name)
                case .unknown: break
                }
            }
        }.bytes
    }

    /// Whether the dimension in the file says something else than `dim`, whatever its denotation.
    private static func encodedDiffers(
        _ dim: TypeProto.Dimension, _ shape: WireMessage, _ position: Int, _ bytes: UnsafeRawBufferPointer
    ) -> Bool {
        guard case .original(let field) = shape.parts[position], let message = try? WireMessage(bytes, field.value)
        else { return true }
        var found = TypeProto.Dimension.unknown
        for case .original(let part) in message.parts {
            if part.field == FieldNumber.Dimension.value {
                var cursor = WireCursor(bytes: bytes, position: part.value.lowerBound, end: part.value.upperBound)
                found = .value(Int64(bitPattern: (try? cursor.varint()) ?? 0))
            } else if part.field == FieldNumber.Dimension.parameter {
                found = .parameter(String(decoding: bytes[part.value], as: UTF8.self))
            }
        }
        return found != dim
    }

    // MARK: - Metadata

    private mutating func setMetadata(_ entries: [String: String]) throws {
        guard !entries.isEmpty else { return }
        var missing = entries
        try file.bytes.withUnsafeBytes { bytes in
            for (position, entry) in zip(
                message.positions(of: FieldNumber.Model.metadataProps), file.model.metadataProps)
            {
                guard let value = missing.removeValue(forKey: entry.key), value != entry.value else { continue }
                try message.edit(at: position, in: bytes) { message in
                    let encoded = WireMessage.Part.encoded(
                        WireEncoder { $0.text(FieldNumber.Entry.value, value) }.bytes)
                    if let old = message.positions(of: FieldNumber.Entry.value).first {
                        message.replace(at: old, with: encoded)
                    } else {
                        message.append(encoded)
                    }
                }
            }
        }
        for (key, value) in missing.sorted(by: { $0.key < $1.key }) {
            let entry = WireEncoder {
                $0.message(FieldNumber.Model.metadataProps) {
                    $0.text(FieldNumber.Entry.key, key)
                    $0.text(FieldNumber.Entry.value, value)
                }
            }
            message.append(.encoded(entry.bytes))
        }
    }
}

extension ModelProto {
    /// Every tensor that the Swift types hold, by its position among the file's tensors.
    var tensorsByOrdinal: [Int: TensorProto] {
        var all: [Int: TensorProto] = [:]
        func add(_ tensors: [TensorProto]) {
            for tensor in tensors { if let ordinal = tensor.ordinal { all[ordinal] = tensor } }
        }
        func visit(_ attributes: [AttributeProto]) {
            for attribute in attributes {
                switch attribute.value {
                case .tensor(let tensor): add([tensor])
                case .tensors(let tensors): add(tensors)
                case .graph, .graphs: for graph in attribute.value.graphs { visit(graph) }
                default: break
                }
            }
        }
        func visit(_ graph: GraphProto) {
            add(graph.initializers)
            for node in graph.nodes { visit(node.attributes) }
        }
        visit(graph)
        for function in functions {
            visit(function.attributes)
            for node in function.nodes { visit(node.attributes) }
        }
        return all
    }
}
