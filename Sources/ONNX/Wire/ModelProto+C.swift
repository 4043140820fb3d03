import COnnx
import TensorCore

/// Turns protobuf-c's structs into the Swift types. Graphs in attributes recurse; the scanner has bounded their depth.
struct ProtoReader {
    let source: ElementSource
    let payloads: [TensorPayload]

    private var file: String { source.model.path }

    func model(_ c: Onnx__ModelProto) throws -> ModelProto {
        guard let graph = c.graph else {
            throw ONNXError(file, .notONNX, "not an ONNX model: it holds no graph")
        }
        guard c.has_ir_version != 0 else {
            throw ONNXError(file, .notONNX, "not an ONNX model: it states no IR version")
        }
        return ModelProto(
            irVersion: c.ir_version,
            opsetImports: list(c.n_opset_import, c.opset_import).map(opset),
            producerName: text(c.producer_name), producerVersion: text(c.producer_version), domain: text(c.domain),
            modelVersion: c.has_model_version != 0 ? c.model_version : nil, docString: text(c.doc_string),
            metadataProps: entries(c.n_metadata_props, c.metadata_props),
            graph: try self.graph(graph.pointee),
            functions: try list(c.n_functions, c.functions).map(function))
    }

    private func graph(_ c: Onnx__GraphProto) throws -> GraphProto {
        GraphProto(
            name: text(c.name),
            nodes: try list(c.n_node, c.node).map(node),
            initializers: try list(c.n_initializer, c.initializer).map(tensor),
            sparseInitializerNames: list(c.n_sparse_initializer, c.sparse_initializer).map {
                text($0.values?.pointee.name)
            },
            inputs: list(c.n_input, c.input).map(valueInfo), outputs: list(c.n_output, c.output).map(valueInfo),
            valueInfo: list(c.n_value_info, c.value_info).map(valueInfo),
            docString: text(c.doc_string), metadataProps: entries(c.n_metadata_props, c.metadata_props))
    }

    private func function(_ c: Onnx__FunctionProto) throws -> FunctionProto {
        FunctionProto(
            name: text(c.name), domain: text(c.domain), overload: text(c.overload),
            inputs: texts(c.n_input, c.input), outputs: texts(c.n_output, c.output),
            attributeNames: texts(c.n_attribute, c.attribute),
            attributes: try list(c.n_attribute_proto, c.attribute_proto).map {
                try attribute($0, of: "function '\(text(c.name))'")
            },
            nodes: try list(c.n_node, c.node).map(node),
            opsetImports: list(c.n_opset_import, c.opset_import).map(opset), docString: text(c.doc_string))
    }

    private func node(_ c: Onnx__NodeProto) throws -> NodeProto {
        var node = NodeProto(
            name: text(c.name), opType: text(c.op_type), domain: text(c.domain), overload: text(c.overload),
            inputs: texts(c.n_input, c.input), outputs: texts(c.n_output, c.output),
            docString: text(c.doc_string), metadataProps: entries(c.n_metadata_props, c.metadata_props))
        node.attributes = try list(c.n_attribute, c.attribute).map { try attribute($0, of: node.label) }
        return node
    }

    // MARK: - Attributes

    private func attribute(_ c: Onnx__AttributeProto, of owner: String) throws -> AttributeProto {
        let name = text(c.name)
        let reference = text(c.ref_attr_name)
        if !reference.isEmpty {
            return AttributeProto(name: name, value: .reference(reference), docString: text(c.doc_string))
        }
        let present = try values(of: c)
        func fail(_ reason: String) -> ONNXError {
            ONNXError(file, .invalidModel, "\(owner): attribute '\(name)' \(reason)")
        }
        let value: AttributeProto.Value
        if let declared = declaredType(c) {
            let others = present.filter { $0.typeName != declared }
            guard others.isEmpty else { throw fail("is declared \(declared) but holds \(others[0].typeName)") }
            // An empty list leaves no trace in the file.
            guard let found = present.first ?? emptyList(declared) else {
                throw fail("is \(declared) but has no value")
            }
            value = found
        } else {
            // Files of IR version 1 and 2 declare no type.
            guard present.count <= 1 else { throw fail("holds several values") }
            value = present.first ?? .ints([])
        }
        return AttributeProto(name: name, value: value, docString: text(c.doc_string))
    }

    /// Every value the message carries, whatever its declared type.
    private func values(of c: Onnx__AttributeProto) throws -> [AttributeProto.Value] {
        var values: [AttributeProto.Value] = []
        if c.has_f != 0 { values.append(.float(c.f)) }
        if c.has_i != 0 { values.append(.int(c.i)) }
        if c.has_s != 0 { values.append(.string(text(c.s))) }
        if let t = c.t { values.append(.tensor(try tensor(t.pointee))) }
        if let g = c.g { values.append(.graph(try graph(g.pointee))) }
        if c.n_floats > 0 { values.append(.floats(Array(UnsafeBufferPointer(start: c.floats, count: c.n_floats)))) }
        if c.n_ints > 0 { values.append(.ints(Array(UnsafeBufferPointer(start: c.ints, count: c.n_ints)))) }
        if c.n_strings > 0 {
            values.append(.strings(UnsafeBufferPointer(start: c.strings, count: c.n_strings).map { text($0) }))
        }
        if c.n_tensors > 0 { values.append(.tensors(try list(c.n_tensors, c.tensors).map(tensor))) }
        if c.n_graphs > 0 { values.append(.graphs(try list(c.n_graphs, c.graphs).map(graph))) }
        if c.tp != nil { values.append(.unsupported("TYPE_PROTO")) }
        if c.n_type_protos > 0 { values.append(.unsupported("TYPE_PROTOS")) }
        if c.sparse_tensor != nil { values.append(.unsupported("SPARSE_TENSOR")) }
        if c.n_sparse_tensors > 0 { values.append(.unsupported("SPARSE_TENSORS")) }
        return values
    }

    private func declaredType(_ c: Onnx__AttributeProto) -> String? {
        guard c.has_type != 0 else { return nil }
        let names = [
            "UNDEFINED", "FLOAT", "INT", "STRING", "TENSOR", "GRAPH", "FLOATS", "INTS", "STRINGS", "TENSORS", "GRAPHS",
            "SPARSE_TENSOR", "SPARSE_TENSORS", "TYPE_PROTO", "TYPE_PROTOS",
        ]
        let number = Int(c.type.rawValue)
        guard number != 0 else { return nil }
        return number < names.count ? names[number] : "type \(number)"
    }

    private func emptyList(_ type: String) -> AttributeProto.Value? {
        switch type {
        case "FLOATS": .floats([])
        case "INTS": .ints([])
        case "STRINGS": .strings([])
        case "TENSORS": .tensors([])
        case "GRAPHS": .graphs([])
        case "TYPE_PROTOS", "SPARSE_TENSORS": .unsupported(type)
        default: nil
        }
    }

    // MARK: - Tensors and types

    func tensor(_ c: Onnx__TensorProto) throws -> TensorProto {
        // The scanner put the index there; it is always present.
        let index =
            c.raw_data.len == 4 ? (0..<4).reduce(0) { $0 | Int(c.raw_data.data[$1]) << (8 * $1) } : payloads.count
        guard index < payloads.count else { throw ONNXError(file, .malformed, "inconsistent tensor index") }
        let payload = payloads[index]
        let isExternal = c.has_data_location != 0 && c.data_location.rawValue == 1
        let content: TensorProto.Content =
            if c.segment != nil {
                .contradictory(source, "elements are cut in segments, which no exporter writes")
            } else if isExternal {
                payload.pieces.allSatisfy { $0.range.isEmpty }
                    ? .external(source)
                    : .contradictory(source, "elements are stored several times: in the model and in another file")
            } else if c.n_external_data > 0 {
                .contradictory(source, "external data is named but not declared as the tensor's location")
            } else {
                .file(source, payload)
            }
        return TensorProto(
            name: text(c.name), dims: Array(UnsafeBufferPointer(start: c.dims, count: c.n_dims)),
            dataType: TensorProto.DataType(rawValue: c.data_type), docString: text(c.doc_string),
            metadataProps: entries(c.n_metadata_props, c.metadata_props),
            externalData: entries(c.n_external_data, c.external_data), content: content, ordinal: index)
    }

    private func valueInfo(_ c: Onnx__ValueInfoProto) -> ValueInfoProto {
        ValueInfoProto(name: text(c.name), type: c.type.flatMap { type($0.pointee) }, docString: text(c.doc_string))
    }

    private func type(_ c: Onnx__TypeProto) -> TypeProto? {
        switch c.value_case {
        case ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE:
            guard let tensor = c.tensor_type?.pointee else { return nil }
            return .tensor(
                elementType: TensorProto.DataType(rawValue: tensor.elem_type),
                shape: tensor.shape.map { shape($0.pointee) })
        case ONNX__TYPE_PROTO__VALUE_SPARSE_TENSOR_TYPE:
            guard let tensor = c.sparse_tensor_type?.pointee else { return nil }
            return .sparseTensor(
                elementType: TensorProto.DataType(rawValue: tensor.elem_type),
                shape: tensor.shape.map { shape($0.pointee) })
        case ONNX__TYPE_PROTO__VALUE_SEQUENCE_TYPE:
            return .sequence(c.sequence_type?.pointee.elem_type.flatMap { type($0.pointee) })
        case ONNX__TYPE_PROTO__VALUE_OPTIONAL_TYPE:
            return .optional(c.optional_type?.pointee.elem_type.flatMap { type($0.pointee) })
        case ONNX__TYPE_PROTO__VALUE_MAP_TYPE:
            guard let map = c.map_type?.pointee else { return nil }
            return .map(
                key: TensorProto.DataType(rawValue: map.key_type), value: map.value_type.flatMap { type($0.pointee) })
        case ONNX__TYPE_PROTO__VALUE_OPAQUE_TYPE:
            return .opaque(domain: text(c.opaque_type?.pointee.domain), name: text(c.opaque_type?.pointee.name))
        default: return nil
        }
    }

    private func shape(_ c: Onnx__TensorShapeProto) -> [TypeProto.Dimension] {
        list(c.n_dim, c.dim).map { dimension in
            switch dimension.value_case {
            case ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE: .value(dimension.dim_value)
            case ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM: .parameter(text(dimension.dim_param))
            default: .unknown
            }
        }
    }

    private func opset(_ c: Onnx__OperatorSetIdProto) -> OperatorSetIdProto {
        OperatorSetIdProto(domain: text(c.domain), version: c.version)
    }

    // MARK: - C strings and arrays

    private func entries(
        _ count: Int, _ items: UnsafeMutablePointer<UnsafeMutablePointer<Onnx__StringStringEntryProto>?>?
    ) -> [StringStringEntryProto] {
        list(count, items).map { StringStringEntryProto(key: text($0.key), value: text($0.value)) }
    }

    private func list<T>(_ count: Int, _ items: UnsafeMutablePointer<UnsafeMutablePointer<T>?>?) -> [T] {
        UnsafeBufferPointer(start: items, count: items == nil ? 0 : count).compactMap { $0?.pointee }
    }

    private func texts(
        _ count: Int, _ items: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
    ) -> [String] {
        UnsafeBufferPointer(start: items, count: items == nil ? 0 : count).map { text($0) }
    }

    private func text(_ c: UnsafeMutablePointer<CChar>?) -> String { c.map { String(cString: $0) } ?? "" }

    private func text(_ c: ProtobufCBinaryData) -> String {
        String(decoding: UnsafeBufferPointer(start: c.data, count: c.data == nil ? 0 : c.len), as: UTF8.self)
    }
}
