import Files
import GraphIR
import Operators
import TensorCore

extension CutModel {
    /// Names everything that decides the values at the boundary for a picture's numbers: nodes before the cut with their
    /// attributes, constants they read, and the boundary. Names of values do not count.
    ///
    /// Nil when a node does not say what it was made from, as in a graph that was not read from a file.
    func prefixFingerprint() -> SHA256.Digest? {
        var text = PrefixText(constants: constants)
        text.write("input \(text.number(input))")
        for index in (cut.prefix + countedOfPrefix()).sorted() where !text.write(module.graph.nodes[index]) {
            return nil
        }
        text.write("boundary \(cut.boundary.map { text.number($0) })")
        var hash = SHA256()
        hash.update(Array(text.text.utf8))
        let arrays = text.arrays
        // Most of a model's bytes: hashed one array per task.
        for digest in Parallel.map(arrays.count, { arrays[$0].contentDigest() }) { hash.update(digest.bytes) }
        return hash.value
    }

    /// The nodes of sizes and counts that the prefix reads.
    private func countedOfPrefix() -> [Int] {
        let nodes = module.graph.nodes
        var read = Set(cut.prefix.flatMap { nodes[$0].inputs.compactMap { $0 } })
        return cut.counted.reversed().filter { index in
            guard nodes[index].outputs.contains(where: { $0.map(read.contains) ?? false }) else { return false }
            read.formUnion(nodes[index].inputs.compactMap { $0 })
            return true
        }
    }
}

/// A prefix as text in which values have numbers in the order of their appearance, and the arrays it refers to.
private struct PrefixText {
    let constants: [ValueID: NDArray]
    private(set) var text = ""
    private(set) var arrays: [NDArray] = []
    private var numbers: [ValueID: Int] = [:]

    init(constants: [ValueID: NDArray]) { self.constants = constants }

    mutating func write(_ line: String) { text += line + "\n" }

    mutating func number(_ id: ValueID) -> Int {
        if let known = numbers[id] { return known }
        numbers[id] = numbers.count
        if let constant = constants[id] { write("value \(numbers.count - 1) = \(reference(to: constant))") }
        return numbers.count - 1
    }

    /// False when the node cannot be described.
    mutating func write(_ node: Graph.Node) -> Bool {
        guard let made = node.attributes else { return false }
        let inputs = node.inputs.map { $0.map { "\(number($0))" } ?? "-" }.joined(separator: " ")
        let outputs = node.outputs.map { $0.map { "\(number($0))" } ?? "-" }.joined(separator: " ")
        write("\(made.opType) \(made.opset) (\(inputs)) -> (\(outputs))")
        for (name, value) in made.values.sorted(by: { $0.key < $1.key }) { write("  \(name) \(describe(value))") }
        return true
    }

    private mutating func describe(_ value: AttributeValue) -> String {
        switch value {
        case .tensor(let array): reference(to: array)
        case .float(let number): "float \(number.bitPattern)"
        case .floats(let numbers): "floats \(numbers.map(\.bitPattern))"
        case .int(let number): "int \(number)"
        case .ints(let numbers): "ints \(numbers)"
        case .string(let text): "string \(text.debugDescription)"
        case .strings(let texts): "strings \(texts)"
        }
    }

    private mutating func reference(to array: NDArray) -> String {
        arrays.append(array)
        return "array \(arrays.count - 1) \(array.dtype) \(array.shape)"
    }
}

extension NDArray {
    /// SHA-256 of the elements' bytes in little-endian order.
    func contentDigest() -> SHA256.Digest {
        var hash = SHA256()
        withLittleEndianBytes { hash.update($0) }
        return hash.value
    }
}
