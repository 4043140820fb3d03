import Operators
import TensorCore

/// Index of a value in `Graph.values`.
public typealias ValueID = Int

/// A dataflow graph of operators: nodes in execution order, values addressed by index, constants attached.
///
/// A graph is immutable knowledge about a model; weights that training changes live in modules and are looked up by the
/// value they belong to.
public struct Graph: Sendable {
    /// Something computed, given or constant.
    public struct Value: Sendable {
        /// ONNX's name, unique in the graph.
        public var name: String
        /// What the file declares, if anything.
        public var declared: DeclaredType?

        public init(name: String, declared: DeclaredType? = nil) {
            self.name = name
            self.declared = declared
        }
    }

    /// Element type and dimensions as a file declares them.
    public struct DeclaredType: Sendable, Equatable {
        public var dtype: DType
        public var dimensions: [Dimension]

        public init(_ dtype: DType, _ dimensions: [Dimension]) {
            self.dtype = dtype
            self.dimensions = dimensions
        }
    }

    /// One dimension: a number, a name such as `N`, or nothing known.
    public enum Dimension: Sendable, Equatable {
        case fixed(Int)
        case symbolic(String)
        case unknown
    }

    /// One operator applied to values. An omitted optional input or output is nil.
    public struct Node: Sendable {
        public var name: String
        public var op: any Operator
        public var inputs: [ValueID?]
        public var outputs: [ValueID?]
        /// Dotted path of the layer that the exporter recorded: `layer4.1.conv2`.
        public var scope: String?
        /// What `op` was made from; nil for an operator made by other means than reading a file.
        public var attributes: NodeAttributes?
        /// Place among the nodes of the file's graph; nil for a node that is not one of them, such as one of a function.
        public var position: Int?

        public init(
            name: String, op: any Operator, inputs: [ValueID?], outputs: [ValueID?], scope: String? = nil,
            attributes: NodeAttributes? = nil, position: Int? = nil
        ) {
            self.name = name
            self.op = op
            self.inputs = inputs
            self.outputs = outputs
            self.scope = scope
            self.attributes = attributes
            self.position = position
        }

        public var opType: String { type(of: op).opType }

        /// `Gemm '/fc/Gemm'`, for messages.
        public var label: String { name.isEmpty ? opType : "\(opType) '\(name)'" }
    }

    public var values: [Value] = []
    /// In execution order: a node comes after those that make its inputs.
    public var nodes: [Node] = []
    public var inputs: [ValueID] = []
    public var outputs: [ValueID] = []
    /// Constants: initializers of the file and the outputs of its Constant nodes.
    public var constants: [ValueID: NDArray] = [:]
    /// The constants that come from Constant nodes.
    public var constantNodeValues: Set<ValueID> = []

    /// A graph of no nodes.
    public init() {}

    /// Adds a value and returns its index.
    public mutating func addValue(_ name: String, declared: DeclaredType? = nil) -> ValueID {
        values.append(Value(name: name, declared: declared))
        return values.count - 1
    }

    /// The node that makes each value; values given or constant have none.
    public func producers() -> [ValueID: Int] {
        var result: [ValueID: Int] = [:]
        for (index, node) in nodes.enumerated() {
            for case let output? in node.outputs { result[output] = index }
        }
        return result
    }

    /// The nodes that read each value, in execution order.
    public func consumers() -> [ValueID: [Int]] {
        var result: [ValueID: [Int]] = [:]
        for (index, node) in nodes.enumerated() {
            for case let input? in node.inputs where result[input]?.last != index {
                result[input, default: []].append(index)
            }
        }
        return result
    }

    /// The value of that name, if there is one.
    public func value(named name: String) -> ValueID? { values.firstIndex { $0.name == name } }
}

/// A failure at one node of a graph.
public struct GraphError: Error, CustomStringConvertible {
    /// `Gemm '/fc/Gemm'`, or the name of an input.
    public let place: String
    public let reason: String

    public init(_ place: String, _ reason: String) {
        self.place = place
        self.reason = reason
    }

    /// An operator's error at its node.
    public init(_ node: Graph.Node, _ error: any Error) {
        place = node.label
        if let error = error as? ShapeError {
            reason = error.operation == node.opType ? error.reason : error.description
        } else {
            reason = "\(error)"
        }
    }

    public var description: String { "\(place): \(reason)" }
}
