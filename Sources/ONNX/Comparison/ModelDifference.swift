import Files
import TensorCore

/// What differs between two model files, as `finetune diff` tells it.
public struct ModelDifference: Sendable {
    /// One tensor that either file holds: an initializer by its name, a Constant node's value by its output's.
    public struct Tensor: Sendable {
        public var name: String
        /// In the second file; in the first when the second lacks the tensor.
        public var shape: [Int]
        /// True when type, shape or any bit differs, or one file lacks the tensor.
        public var changed: Bool
        /// Number of elements: the product of `shape`.
        public var elements: Int
        /// Largest |a − b|, 0 for equal tensors; nil when the tensors cannot be subtracted or the result is no number.
        public var maxAbs: Double?
    }

    public var tensors: [Tensor] = []
    /// Number of nodes of one file that the other does not have in the same place.
    public var nodesChanged = 0
    /// Keys of `metadata_props` that one file lacks or that have another value.
    public var metadataChanged: [String] = []
    /// Graph inputs, outputs and value_info with another type or shape, or in one file only.
    public var shapesChanged: [String] = []
    /// Other fields of the model that differ, by ONNX's name: `ir_version`, `opset_import`, ..
    public var fieldsChanged: [String] = []
    /// True when the files have the same bytes and every tensor in other files has too.
    public var identical: Bool

    /// Compares two files. Throws `ONNXError` for tensors that cannot be read.
    public init(_ first: ModelFile, _ second: ModelFile) throws {
        identical = first.bytes.hasEqualBytes(second.bytes)
        try compareTensors(first.model.graph, second.model.graph)
        nodesChanged = try ModelDifference.changedNodes(first.model.graph, second.model.graph)
        metadataChanged = ModelDifference.changedKeys(
            first.model.metadataProps.map { ($0.key, $0.value) }, second.model.metadataProps.map { ($0.key, $0.value) })
        func values(_ graph: GraphProto) -> [(String, ValueInfoProto)] {
            (graph.inputs + graph.outputs + graph.valueInfo).map { ($0.name, $0) }
        }
        shapesChanged = ModelDifference.changedKeys(values(first.model.graph), values(second.model.graph))
        fieldsChanged = ModelDifference.changedKeys(
            ModelDifference.fields(first.model), ModelDifference.fields(second.model))
        if tensors.contains(where: \.changed) { identical = false }
    }

    private mutating func compareTensors(_ first: GraphProto, _ second: GraphProto) throws {
        let (old, new) = (first.namedTensors, second.namedTensors)
        let byName = Dictionary(new, uniquingKeysWith: { tensor, _ in tensor })
        var seen: Set<String> = []
        for (name, tensor) in old where seen.insert(name).inserted {
            try compare(name, tensor, byName[name])
        }
        for (name, tensor) in new where seen.insert(name).inserted { try compare(name, nil, tensor) }
    }

    private mutating func compare(_ name: String, _ old: TensorProto?, _ new: TensorProto?) throws {
        guard let either = new ?? old else { return }
        let shape = try either.shape()
        var result = Tensor(name: name, shape: shape, changed: true, elements: elementCount(shape), maxAbs: nil)
        if let old, let new {
            if old.dataType.dtype != nil, new.dataType.dtype != nil {
                let (a, b) = (try old.array(), try new.array())
                result.changed = !a.isBitIdentical(to: b)
                result.maxAbs = result.changed ? ModelDifference.maxAbs(a, b) : 0
            } else {
                result.changed =
                    try old.dataType != new.dataType || old.dims != new.dims || old.payload() != new.payload()
                result.maxAbs = result.changed ? nil : 0
            }
        }
        tensors.append(result)
    }

    /// Largest |a − b|, taken in pieces so that large tensors need little memory.
    private static func maxAbs(_ a: NDArray, _ b: NDArray) -> Double? {
        guard a.shape == b.shape else { return nil }
        let (flatA, flatB) = (a.reshaped([a.count]), b.reshaped([b.count]))
        var result = 0.0
        for start in stride(from: 0, to: a.count, by: 1 << 16) {
            let range = start..<min(a.count, start + 1 << 16)
            for (x, y) in zip(flatA.rows(range).doubles(), flatB.rows(range).doubles()) where x != y {
                let distance = abs(x - y)
                guard distance.isFinite else { return nil }
                result = max(result, distance)
            }
        }
        return result
    }

    // MARK: - Nodes

    private static func changedNodes(_ first: GraphProto, _ second: GraphProto) throws -> Int {
        let (old, new) = (try first.nodes.map { try $0.fingerprint() }, try second.nodes.map { try $0.fingerprint() })
        if old == new { return 0 }
        var balance: [String: Int] = [:]
        for node in old { balance[node, default: 0] += 1 }
        for node in new { balance[node, default: 0] -= 1 }
        let removed = balance.values.reduce(0) { $0 + max($1, 0) }
        let added = balance.values.reduce(0) { $0 + max(-$1, 0) }
        // The same nodes in another order.
        guard removed + added > 0 else { return zip(old, new).count { $0 != $1 } }
        return max(removed, added)
    }

    // MARK: - Named entries

    private static func changedKeys<T: Equatable>(_ first: [(String, T)], _ second: [(String, T)]) -> [String] {
        func byKey(_ entries: [(String, T)]) -> [String: [T]] {
            entries.reduce(into: [:]) { $0[$1.0, default: []].append($1.1) }
        }
        let (old, new) = (byKey(first), byKey(second))
        return Set(old.keys).union(new.keys).filter { old[$0] != new[$0] }.sorted()
    }

    private static func fields(_ model: ModelProto) -> [(String, String)] {
        [
            ("ir_version", "\(model.irVersion)"), ("producer_name", model.producerName),
            ("producer_version", model.producerVersion), ("domain", model.domain),
            ("model_version", "\(model.modelVersion ?? 0)"), ("doc_string", model.docString),
            ("graph.name", model.graph.name), ("graph.doc_string", model.graph.docString),
        ] + model.opsetImports.map { ("opset_import", "\(standardDomain($0.domain)) \($0.version)") }
            + model.functions.map { ("functions", "\($0.domain) \($0.name) \($0.overload)") }
    }
}

extension ModelDifference: Encodable {
    private enum CodingKeys: CodingKey {
        case tensors, nodesChanged, metadataChanged, shapesChanged, fieldsChanged, identical
    }
}

extension ModelDifference.Tensor: Encodable {
    private enum CodingKeys: CodingKey { case name, shape, changed, elements, maxAbs }

    /// `maxAbs` is always there, as null where there is none.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(name, forKey: .name)
        try container.encode(shape, forKey: .shape)
        try container.encode(changed, forKey: .changed)
        try container.encode(elements, forKey: .elements)
        try container.encode(maxAbs, forKey: .maxAbs)
    }
}

extension GraphProto {
    /// Initializers, and tensors of Constant nodes by the name of the output.
    var namedTensors: [(String, TensorProto)] {
        var result = initializers.map { ($0.name, $0) }
        for node in nodes {
            guard let value = node.constantTensor, let output = node.outputs.first, !output.isEmpty else { continue }
            result.append((output, value))
        }
        return result
    }
}

extension NodeProto {
    /// Attributes of a Constant node that `constantTensor` reads.
    private static let constantForms = ["value", "value_float", "value_floats"]

    /// The tensor that a Constant node makes: the file's own, or one of plain fractions.
    var constantTensor: TensorProto? {
        guard opType == "Constant", standardDomain(domain).isEmpty else { return nil }
        switch NodeProto.constantForms.lazy.compactMap({ self.attribute($0)?.value }).first {
        case .tensor(let tensor)?: return tensor
        case .float(let number)?: return TensorProto(name: outputs.first ?? "", array: NDArray(scalar: number))
        case .floats(let numbers)?: return TensorProto(name: outputs.first ?? "", array: NDArray(numbers))
        default: return nil
        }
    }

    /// A text that is equal for equal nodes; a Constant node's tensor is left out.
    fileprivate func fingerprint() throws -> String {
        let isConstant = constantTensor != nil
        let attributes = try self.attributes.filter { !(isConstant && NodeProto.constantForms.contains($0.name)) }
            .map { "\($0.name.debugDescription)=\(try $0.value.fingerprint())" }.sorted()
        return "\([name, opType, standardDomain(domain), overload]) \(inputs) \(outputs) \(attributes)"
    }
}

extension AttributeProto.Value {
    fileprivate func fingerprint() throws -> String {
        switch self {
        case .float(let value): return "float \(value.bitPattern)"
        case .int(let value): return "int \(value)"
        case .string(let value): return "string \(value.debugDescription)"
        case .floats(let values): return "floats \(values.map(\.bitPattern))"
        case .ints(let values): return "ints \(values)"
        case .strings(let values): return "strings \(values)"
        case .tensor(let tensor): return try tensor.fingerprint()
        case .tensors(let tensors):
            let all = try tensors.map { try $0.fingerprint() }
            return "tensors \(all)"
        case .graph, .graphs:
            let all = try graphs.map { graph in
                try graph.nodes.map { try $0.fingerprint() } + graph.namedTensors.map { try $1.fingerprint() }
            }
            return "graphs \(all)"
        case .reference(let name): return "reference \(name.debugDescription)"
        case .unsupported(let type): return type
        }
    }
}

extension TensorProto {
    /// Type, dims and a checksum of the elements.
    fileprivate func fingerprint() throws -> String {
        var hash = SHA256()
        if dataType.dtype == nil {
            hash.update(try payload())
        } else {
            try array().withUnsafeBytes { hash.update($0) }
        }
        return "\(dataType) \(dims) \(hash.hexDigest())"
    }

    /// The bytes of the elements as they are stored, for types that cannot be computed with.
    fileprivate func payload() throws -> [UInt8] {
        switch content {
        case .file(let source, let payload):
            return source.model.withUnsafeBytes { bytes in payload.pieces.flatMap { Array(bytes[$0.range]) } }
        case .external(let source):
            let (file, range) = try externalRange(byteCount: rawByteCount(), source: source)
            return file.withUnsafeBytes { Array($0[range]) }
        case .contradictory, .memory: return []
        }
    }
}
