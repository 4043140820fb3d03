import TensorCore

/// Value of a node's attribute.
public enum AttributeValue: Sendable {
    case int(Int)
    case float(Float)
    case string(String)
    case ints([Int])
    case floats([Float])
    case strings([String])
    case tensor(NDArray)

    /// ONNX's word for the kind.
    var kind: String {
        switch self {
        case .int: "INT"
        case .float: "FLOAT"
        case .string: "STRING"
        case .ints: "INTS"
        case .floats: "FLOATS"
        case .strings: "STRINGS"
        case .tensor: "TENSOR"
        }
    }
}

/// What an operator is made from: its type, the operator set version it is written in, and its attributes.
public struct NodeAttributes: Sendable {
    public let opType: String
    /// Version of the operator's own operator set that the model imports.
    public let opset: Int
    public let inputCount: Int
    public let outputCount: Int
    public let values: [String: AttributeValue]

    public init(
        opType: String, opset: Int, inputCount: Int = 1, outputCount: Int = 1, _ values: [String: AttributeValue] = [:]
    ) {
        self.opType = opType
        self.opset = opset
        self.inputCount = inputCount
        self.outputCount = outputCount
        self.values = values
    }

    /// The same node without an attribute, and with so many outputs.
    public func without(_ name: String, outputCount: Int) -> NodeAttributes {
        NodeAttributes(
            opType: opType, opset: opset, inputCount: inputCount, outputCount: outputCount,
            values.filter { $0.key != name })
    }

    public func has(_ name: String) -> Bool { values[name] != nil }

    public func int(_ name: String) throws -> Int? {
        guard let value = values[name] else { return nil }
        guard case .int(let result) = value else { throw mismatch(name, "INT", value) }
        return result
    }

    public func int(_ name: String, default fallback: Int) throws -> Int { try int(name) ?? fallback }

    public func bool(_ name: String, default fallback: Bool) throws -> Bool {
        try int(name).map { $0 != 0 } ?? fallback
    }

    public func float(_ name: String) throws -> Double? {
        guard let value = values[name] else { return nil }
        guard case .float(let result) = value else { throw mismatch(name, "FLOAT", value) }
        return Double(result)
    }

    public func float(_ name: String, default fallback: Double) throws -> Double { try float(name) ?? fallback }

    public func ints(_ name: String) throws -> [Int]? {
        guard let value = values[name] else { return nil }
        guard case .ints(let result) = value else { throw mismatch(name, "INTS", value) }
        return result
    }

    public func floats(_ name: String) throws -> [Float]? {
        guard let value = values[name] else { return nil }
        guard case .floats(let result) = value else { throw mismatch(name, "FLOATS", value) }
        return result
    }

    public func string(_ name: String, default fallback: String) throws -> String {
        guard let value = values[name] else { return fallback }
        guard case .string(let result) = value else { throw mismatch(name, "STRING", value) }
        return result
    }

    public func tensor(_ name: String) throws -> NDArray? {
        guard let value = values[name] else { return nil }
        guard case .tensor(let result) = value else { throw mismatch(name, "TENSOR", value) }
        return result
    }

    /// The error for an attribute value outside of what the operator understands.
    public func unsupported(_ name: String, _ reason: String) -> ShapeError {
        ShapeError(opType, "attribute '\(name)': \(reason)")
    }

    private func mismatch(_ name: String, _ expected: String, _ actual: AttributeValue) -> ShapeError {
        ShapeError(opType, "attribute '\(name)' has type \(actual.kind), expected \(expected)")
    }
}
