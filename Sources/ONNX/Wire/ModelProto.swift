/// A model as its file states it: one graph, the operator sets it speaks, and who made it.
///
/// These types mirror the messages of `schemas/onnx.proto`. They are what import reads; export does not write them but
/// patches the bytes they were read from (`ModelFile`).
public struct ModelProto: Sendable {
    public var irVersion: Int64
    public var opsetImports: [OperatorSetIdProto]
    public var producerName: String
    public var producerVersion: String
    public var domain: String
    public var modelVersion: Int64?
    public var docString: String
    public var metadataProps: [StringStringEntryProto]
    public var graph: GraphProto
    public var functions: [FunctionProto]

    /// Version of the operator set `domain` that the model imports; `ai.onnx` and the empty domain are the same.
    public func opsetVersion(domain: String = "") -> Int64? { opsetImports.version(of: domain) }
}

/// An operator set and its version.
public struct OperatorSetIdProto: Sendable, Equatable {
    public var domain: String
    public var version: Int64

    public init(domain: String, version: Int64) {
        self.domain = domain
        self.version = version
    }
}

extension [OperatorSetIdProto] {
    /// Version of the operator set `domain`; `ai.onnx` and the empty domain are the same.
    public func version(of domain: String) -> Int64? {
        let wanted = standardDomain(domain)
        return first { standardDomain($0.domain) == wanted }?.version
    }
}

/// The empty string for ONNX's own operator set, which is spelled `ai.onnx` as well.
public func standardDomain(_ domain: String) -> String { domain == "ai.onnx" ? "" : domain }

/// One entry of a string map; order and repeated keys are kept as the file has them.
public struct StringStringEntryProto: Sendable, Equatable {
    public var key: String
    public var value: String

    public init(key: String, value: String) {
        self.key = key
        self.value = value
    }
}

extension [StringStringEntryProto] {
    /// Value of the first entry with `key`.
    public subscript(key: String) -> String? { first { $0.key == key }?.value }
}

/// A computation: nodes over named values.
public struct GraphProto: Sendable {
    public var name: String
    public var nodes: [NodeProto]
    public var initializers: [TensorProto]
    /// Names of initializers in sparse form, which are not read.
    public var sparseInitializerNames: [String]
    public var inputs: [ValueInfoProto]
    public var outputs: [ValueInfoProto]
    public var valueInfo: [ValueInfoProto]
    public var docString: String
    public var metadataProps: [StringStringEntryProto]
}

/// One application of an operator.
public struct NodeProto: Sendable {
    /// May be empty: names are optional.
    public var name: String
    public var opType: String
    public var domain: String
    public var overload: String
    /// An empty name is an optional input left out.
    public var inputs: [String]
    /// An empty name is an optional output left out.
    public var outputs: [String]
    public var attributes: [AttributeProto]
    public var docString: String
    public var metadataProps: [StringStringEntryProto]
    /// Place among the nodes of the file's graph; nil until a graph is brought up, and for a function's nodes.
    var position: Int?

    public init(
        name: String = "", opType: String, domain: String = "", overload: String = "", inputs: [String],
        outputs: [String], attributes: [AttributeProto] = [], docString: String = "",
        metadataProps: [StringStringEntryProto] = []
    ) {
        self.name = name
        self.opType = opType
        self.domain = domain
        self.overload = overload
        self.inputs = inputs
        self.outputs = outputs
        self.attributes = attributes
        self.docString = docString
        self.metadataProps = metadataProps
    }

    /// The attribute `name`, or nil when the node leaves it at its default.
    public func attribute(_ name: String) -> AttributeProto? { attributes.first { $0.name == name } }

    /// How messages call the node: operator and name, or its first output when it has no name, as in `Conv '/conv1/Conv'`.
    public var label: String {
        let called = name.isEmpty ? outputs.first { !$0.isEmpty } : name
        return called.map { "\(opType) '\($0)'" } ?? opType
    }
}

/// A named constant argument of a node.
public struct AttributeProto: Sendable {
    public var name: String
    public var value: Value
    public var docString: String

    public init(name: String, value: Value, docString: String = "") {
        self.name = name
        self.value = value
        self.docString = docString
    }
}

extension AttributeProto {
    /// The value of an attribute.
    public enum Value: Sendable {
        case float(Float)
        case int(Int64)
        case string(String)
        case tensor(TensorProto)
        case graph(GraphProto)
        case floats([Float])
        case ints([Int64])
        case strings([String])
        case tensors([TensorProto])
        case graphs([GraphProto])
        /// In the body of a function: the value of the function's attribute of this name.
        case reference(String)
        /// A sparse tensor or a type, which no supported operator takes; the text names which.
        case unsupported(String)

        /// How messages call the type, in ONNX's spelling.
        public var typeName: String {
            switch self {
            case .float: "FLOAT"
            case .int: "INT"
            case .string: "STRING"
            case .tensor: "TENSOR"
            case .graph: "GRAPH"
            case .floats: "FLOATS"
            case .ints: "INTS"
            case .strings: "STRINGS"
            case .tensors: "TENSORS"
            case .graphs: "GRAPHS"
            case .reference: "reference"
            case .unsupported(let name): name
            }
        }
    }
}

/// Inside this module the short name means the file's attributes, not the operators'.
typealias AttributeValue = AttributeProto.Value

/// A named value with its type.
public struct ValueInfoProto: Sendable, Equatable {
    public var name: String
    /// Nil where the file gives none.
    public var type: TypeProto?
    public var docString: String

    public init(name: String, type: TypeProto?, docString: String = "") {
        self.name = name
        self.type = type
        self.docString = docString
    }

    /// The dimensions of a tensor's shape, or nil when the value is no tensor or has no shape.
    public var dimensions: [TypeProto.Dimension]? {
        guard case .tensor(_, let shape) = type else { return nil }
        return shape
    }
}

/// The type of a value.
public indirect enum TypeProto: Sendable, Equatable {
    /// A nil shape means that not even the rank is known.
    case tensor(elementType: TensorProto.DataType, shape: [Dimension]?)
    case sparseTensor(elementType: TensorProto.DataType, shape: [Dimension]?)
    case sequence(TypeProto?)
    case optional(TypeProto?)
    case map(key: TensorProto.DataType, value: TypeProto?)
    case opaque(domain: String, name: String)

    /// One dimension of a shape.
    public enum Dimension: Sendable, Equatable {
        case value(Int64)
        case parameter(String)
        case unknown
    }
}

/// An operator defined by a graph of other operators.
public struct FunctionProto: Sendable {
    public var name: String
    public var domain: String
    public var overload: String
    public var inputs: [String]
    public var outputs: [String]
    /// Attributes without a default.
    public var attributeNames: [String]
    /// Attributes with a default.
    public var attributes: [AttributeProto]
    public var nodes: [NodeProto]
    public var opsetImports: [OperatorSetIdProto]
    public var docString: String
}

extension TypeProto.Dimension: CustomStringConvertible {
    public var description: String {
        switch self {
        case .value(let size): "\(size)"
        case .parameter(let name): name
        case .unknown: "?"
        }
    }
}
