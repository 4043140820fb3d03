import Operators
import TensorCore

/// A layer as a person thinks of it: one or two nodes with their parameters, under a dotted path.
public struct Layer: Sendable {
    /// A constant that the layer reads through one of its nodes.
    public struct Slot: Sendable {
        /// PyTorch's name inside the layer: `weight`, `bias`, `running_mean`.
        public var role: String
        /// The constant, behind any Identity, Transpose, Reshape or Cast.
        public var root: ValueID
        /// The reading node and its input.
        public var node: Int
        public var input: Int
        /// The constant's name in the file.
        public var name: String
        /// True when other layers read the same constant: exporters merge equal ones.
        public var isShared: Bool
    }

    /// `layer4.1.conv2`.
    public var path: String
    /// The node that gives the layer its operator, then a MatMul's bias Add.
    public var nodes: [Int]
    public var parameters: [Slot]
    public var buffers: [Slot]
}

extension Graph {
    /// Operators that only rename or rearrange the elements of their first input, or write them in another type.
    public static let rearrangements: Set<String> = [
        "Identity", "Transpose", "Reshape", "Cast", "Squeeze", "Unsqueeze", "Flatten",
    ]

    /// The parametric layers, in execution order.
    ///
    /// A parameter is a floating-point constant at an input that its operator declares as one; a MatMul and the Add of its
    /// bias are one layer; a named constant of more than one element that is added, multiplied or joined (a layer scale, a
    /// position embedding, a class token) is a layer of its own. What only looks like a parameter is none: the ones and zeros that
    /// exporters write where a norm has no weights, masks, and the numbers that pictures are normalised by.
    ///
    /// - `wanted`: only layers on the way to these values; to the graph's outputs by default.
    public func layers(for wanted: [ValueID]? = nil) -> [Layer] {
        LayerFinder(graph: self).find(for: wanted ?? outputs)
    }
}

/// A Dropout node that drops while training.
public struct DropoutLayer: Sendable {
    public var path: String
    public var node: Int
    /// Probability that an element becomes zero.
    public var p: Double
}

extension Graph {
    /// The Dropout nodes whose ratio is a constant above zero and whose mask nobody reads, in execution order, under paths
    /// that none of `layers` has.
    public func dropouts(beside layers: [Layer]) -> [DropoutLayer] {
        let consumers = consumers()
        var names = UniqueNames(taken: layers.map(\.path))
        return nodes.enumerated().compactMap { index, node in
            guard let op = node.op as? Op.Dropout else { return nil }
            let isMaskRead = node.outputs.dropFirst().contains {
                $0.map { consumers[$0] != nil || outputs.contains($0) } ?? false
            }
            let input = node.inputs.count > Op.Dropout.ratioInput ? node.inputs[Op.Dropout.ratioInput] : nil
            let p =
                op.ratio
                ?? (input == nil ? 0.5 : input.flatMap { constants[$0] }.flatMap { $0.count == 1 ? $0.item() : nil })
            guard !isMaskRead, let p, p > 0, p <= 1 else { return nil }
            return DropoutLayer(
                path: names.name(like: node.scope ?? (node.name.isEmpty ? "dropout" : node.name)), node: index, p: p)
        }
    }
}

private struct LayerFinder {
    let graph: Graph
    let producers: [ValueID: Int]
    let consumers: [ValueID: [Int]]
    /// Values that depend on what is fed in.
    let shown: Set<ValueID>

    init(graph: Graph) {
        shown = graph.dependent(on: Set(graph.inputs))
        self.graph = graph
        producers = graph.producers()
        consumers = graph.consumers()
    }

    func find(for wanted: [ValueID]) -> [Layer] {
        var layers: [Layer] = []
        var claimed: Set<Int> = []
        let needed = graph.nodesNeeded(for: wanted)
        for (index, node) in graph.nodes.enumerated() where needed.contains(index) && !claimed.contains(index) {
            let type = type(of: node.op)
            var parameters = slots(of: index, at: type.parameterInputs)
            if !type.bufferInputs.isEmpty || node.opType.hasSuffix("Normalization"), areFillers(parameters) { continue }
            // A norm of weights has no bias of its own beside a gain.
            if type.parameterInputs.count > 1, !isShown(node.inputs.first ?? nil),
                node.opType.hasSuffix("Normalization")
            {
                parameters.removeAll { areFillers([$0]) }
            }
            var nodes = [index]
            if node.opType == "MatMul", let bias = biasAdd(after: index), !parameters.isEmpty {
                parameters.append(bias)
                nodes.append(bias.node)
                claimed.insert(bias.node)
            } else if parameters.isEmpty {
                parameters = elementwiseParameters(index)
            }
            guard !parameters.isEmpty else { continue }
            layers.append(
                Layer(path: "", nodes: nodes, parameters: parameters, buffers: slots(of: index, at: type.bufferInputs)))
        }
        markShared(&layers)
        name(&layers)
        return layers
    }

    private func slots(of index: Int, at inputs: [Int: String]) -> [Layer.Slot] {
        let node = graph.nodes[index]
        return inputs.sorted { $0.key < $1.key }.compactMap { input, role in
            guard input < node.inputs.count, let value = node.inputs[input] else { return nil }
            return slot(role, value, node: index, input: input)
        }
    }

    private func slot(_ role: String, _ value: ValueID, node: Int, input: Int) -> Layer.Slot? {
        guard let root = root(of: value), graph.constants[root]?.dtype.isFloatingPoint == true else { return nil }
        return Layer.Slot(
            role: role, root: root, node: node, input: input, name: graph.values[root].name, isShared: false)
    }

    /// The constant behind nodes that only rename or rearrange it, stretch it, or take rows of it at constant places; where only
    /// constants go in, also behind a norm (weight standardisation) and arithmetic.
    private func root(of value: ValueID) -> ValueID? {
        var current = value
        while graph.constants[current] == nil {
            guard let index = producers[current] else { return nil }
            let node = graph.nodes[index]
            let isRearranged =
                Graph.rearrangements.contains(node.opType) || ["Expand", "Tile"].contains(node.opType)
                || (node.opType == "Gather" && node.inputs.count > 1 && !isShown(node.inputs[1]))
            let isStandardised =
                LayerFinder.ofWeights.contains(node.opType) && !node.inputs.contains { isShown($0) }
            guard isRearranged || isStandardised else { return nil }
            // A factor of one number is no parameter.
            let operands = node.inputs.compactMap { $0 }.filter { (graph.constants[$0]?.count ?? 2) > 1 }
            // What layers make of constants, such as a position bias from coordinates, has their parameters.
            if isStandardised, operands.contains(where: isMadeByLayer) { return nil }
            guard let next = isRearranged ? node.inputs.first ?? nil : operands.first else { return nil }
            current = next
        }
        return current
    }

    /// What weights go through before they are used.
    private static let ofWeights: Set<String> = [
        "BatchNormalization", "InstanceNormalization", "LayerNormalization", "Mul", "Div", "Add", "Sub",
    ]

    /// True where a product with weights is on the way to a value.
    private func isMadeByLayer(_ value: ValueID) -> Bool {
        graph.nodesNeeded(for: [value]).contains { ["MatMul", "Gemm", "Conv"].contains(graph.nodes[$0].opType) }
    }

    private func isShown(_ value: ValueID?) -> Bool { value.map(shown.contains) ?? false }

    /// Ones and zeros without a parameter's name, which exporters write where a norm has neither weight nor bias.
    private func areFillers(_ slots: [Layer.Slot]) -> Bool {
        !slots.isEmpty
            && slots.allSatisfy { slot in
                let name = slot.name.lowercased()
                guard !["weight", "bias", "gamma", "beta", "scale", "offset"].contains(where: name.contains),
                    let array = graph.constants[slot.root]
                else { return false }
                let filler = slot.role == "bias" ? 0.0 : 1
                return array.doubles().allSatisfy { $0 == filler }
            }
    }

    /// Zeros and numbers that end an attention, or only zeros, the same for all heads.
    private func isMask(_ array: NDArray) -> Bool {
        let numbers = array.doubles(), shape = array.shape
        if shape.count > 2, shape.dropLast(2).allSatisfy({ $0 == 1 }), shape[shape.count - 1] == shape[shape.count - 2],
            numbers.allSatisfy({ $0 == 0 })
        {
            return true
        }
        return numbers.contains { $0 <= -50 } && numbers.allSatisfy { $0 == 0 || $0 <= -50 }
    }

    /// True for pictures as they come in, up to arithmetic with constants.
    private func isPicture(_ value: ValueID) -> Bool {
        var current = value
        while let index = producers[current] {
            let node = graph.nodes[index]
            let operands = node.inputs.compactMap { $0 }.filter { shown.contains($0) }
            let isPlain = Graph.rearrangements.contains(node.opType) || LayerFinder.arithmetic.contains(node.opType)
            guard isPlain, operands.count == 1 else { return false }
            current = operands[0]
        }
        return graph.inputs.contains(current) && graph.values[current].declared?.dimensions.count == 4
    }

    private static let arithmetic: Set<String> = ["Add", "Sub", "Mul", "Div", "Clip", "Concat", "Slice"]

    /// The Add that alone reads a MatMul's result and adds a constant vector to it.
    private func biasAdd(after matMul: Int) -> Layer.Slot? {
        guard let output = graph.nodes[matMul].outputs.first ?? nil, let readers = consumers[output],
            readers.count == 1,
            !graph.outputs.contains(output), graph.nodes[readers[0]].opType == "Add"
        else { return nil }
        let add = graph.nodes[readers[0]]
        for (input, value) in add.inputs.enumerated() {
            guard let value, value != output, let slot = slot("bias", value, node: readers[0], input: input),
                let shape = graph.constants[slot.root]?.shape, shape.dropLast().allSatisfy({ $0 == 1 }), !shape.isEmpty
            else { continue }
            return slot
        }
        return nil
    }

    /// The constants that a node adds, multiplies or joins to what pictures show: of a Concat all, as it may join two tokens.
    private func elementwiseParameters(_ index: Int) -> [Layer.Slot] {
        let node = graph.nodes[index]
        guard ["Add", "Mul", "Sub", "Div", "Concat"].contains(node.opType),
            let other = node.inputs.compactMap({ $0 }).first(where: shown.contains), !isPicture(other)
        else { return [] }
        var found: [Layer.Slot] = []
        for (input, value) in node.inputs.enumerated() {
            guard let value, let slot = slot("", value, node: index, input: input),
                !graph.constantNodeValues.contains(slot.root), let array = graph.constants[slot.root],
                array.count > 1,
                !isMask(array), node.opType != "Concat" || array.doubles().contains(where: { $0 != 0 })
            else { continue }
            found.append(slot)
        }
        return found
    }

    private func markShared(_ layers: inout [Layer]) {
        var uses: [ValueID: Int] = [:]
        for slot in layers.flatMap({ $0.parameters + $0.buffers }) { uses[slot.root, default: 0] += 1 }
        for index in layers.indices {
            for position in layers[index].parameters.indices {
                layers[index].parameters[position].isShared =
                    uses[layers[index].parameters[position].root, default: 0] > 1
            }
            for position in layers[index].buffers.indices {
                layers[index].buffers[position].isShared = uses[layers[index].buffers[position].root, default: 0] > 1
            }
        }
    }

    /// Paths: what the parameters' names agree on, else the exporter's scope, else the first parameter's name. A path that is
    /// taken gets a number.
    private func name(_ layers: inout [Layer]) {
        var names = UniqueNames()
        for index in layers.indices {
            let layer = layers[index]
            let node = graph.nodes[layer.nodes[0]]
            var path = layer.parameters.lazy.compactMap(prefix).first ?? ""
            if path.isEmpty { path = node.scope ?? "" }
            if path.isEmpty, layer.parameters[0].role.isEmpty || node.name.isEmpty { path = layer.parameters[0].name }
            if path.isEmpty { path = node.name }
            layers[index].path = names.name(like: path)
            for position in layer.parameters.indices where layer.parameters[position].role.isEmpty {
                let slot = layer.parameters[position]
                var role = roleInName(slot, path: path)
                if layers[index].parameters[..<position].contains(where: { $0.role == role }) {
                    let isPlain = slot.name.allSatisfy { $0.isLetter || $0.isNumber || $0 == "_" }
                    role = isPlain && !slot.name.isEmpty ? slot.name : "\(role)_\(position + 1)"
                }
                layers[index].parameters[position].role = role
            }
        }
    }

    /// `layer4.1.conv2` of `layer4.1.conv2.weight`; nil for a shared constant, whose name may be another layer's.
    private func prefix(_ slot: Layer.Slot) -> String? {
        guard !slot.isShared, let dot = slot.name.lastIndex(of: ".") else { return nil }
        let suffix = slot.name[slot.name.index(after: dot)...]
        guard ["weight", "bias", "gamma", "beta", "kernel", "running_mean", "running_var"].contains(suffix) else {
            return nil
        }
        return String(slot.name[..<dot])
    }

    /// `layer_scale` of `features.7.2.layer_scale`; a merged constant has the name that it had in another layer.
    private func roleInName(_ slot: Layer.Slot, path: String) -> String {
        if slot.name.hasPrefix(path + ".") { return String(slot.name.dropFirst(path.count + 1)) }
        let parts = slot.name.split(separator: ".")
        guard parts.count > 1, let last = parts.last, last.first?.isLetter == true,
            last.allSatisfy({ $0.isLetter || $0.isNumber || $0 == "_" })
        else { return "weight" }
        return String(last)
    }
}
