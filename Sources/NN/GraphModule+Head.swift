import Autograd
import GraphIR
import Operators
import TensorCore

extension GraphModule {
    /// What `replaceHead` did.
    public struct HeadReplacement: Sendable {
        /// The layer's path; several are separated by commas.
        public var path: String
        public var inFeatures: Int
        public var oldClasses: Int
        public var newClasses: Int
    }

    /// Number of classes that the logits tell apart.
    ///
    /// - Parameter imageSize: pixels, for files that leave the picture's size open.
    /// - Throws: `GraphError` for an output that is not one row of at least two logits per picture.
    public func classCount(imageSize: (height: Int, width: Int)? = nil) throws -> Int {
        let place = "output '\(graph.values[logits].name)'"
        let relations = try batchRelations(imageSize: imageSize)
        guard let shape = relations.shapes[logits] else { throw GraphError(place, "has no shape") }
        let count = elementCount(shape) / relations.pictures
        guard relations.axis(logits) != nil || (shape.first == relations.pictures && shape.count >= 2) else {
            throw GraphError(place, "is not one row of logits per picture\(otherOutputs)")
        }
        var sizes = shape
        let axis = relations.axis(logits) ?? PictureAxis()
        sizes[axis.axis] = axis.repeats * axis.rows
        // A head may keep spatial axes of size 1.
        guard let classes = sizes.max(), classes == count else {
            sizes.remove(at: axis.axis)
            let text = sizes.map { "\($0)" }.joined(separator: ", ")
            throw GraphError(place, "has the shape [N, \(text)], expected [N, classes]\(otherOutputs)")
        }
        guard classes >= 2 else {
            throw GraphError(
                place, "has one value per picture; a classifier needs the logits of at least 2 classes\(otherOutputs)")
        }
        if let index = graph.producers()[logits], graph.nodes[index].op is Op.Sigmoid,
            let before = graph.nodes[index].inputs.first ?? nil
        {
            throw GraphError(
                place,
                "comes from a Sigmoid, expected logits or their Softmax; --output-name '\(graph.values[before].name)' takes "
                    + "what enters it")
        }
        return classes
    }

    /// Advice about outputs beside the one that was taken.
    private var otherOutputs: String {
        let others = graph.outputs.filter { $0 != logits }.map { "'\(graph.values[$0].name)'" }
        return others.isEmpty || graph.outputs.count < 2
            ? "" : "; --output-name takes another output: \(others.joined(separator: ", "))"
    }

    /// Positions in `layers` of those that make the logits: the last one on the way to them, or several whose results are
    /// added up or averaged, as a network with a distillation head has.
    public func headLayers() -> [Int] {
        let positions = Dictionary(
            layers.enumerated().flatMap { position, layer in layer.nodes.map { ($0, position) } },
            uniquingKeysWith: { first, _ in first })
        let producers = graph.producers()
        var found: Set<Int> = [], seen: Set<ValueID> = []
        var waiting = [logits]
        while let id = waiting.popLast() {
            guard seen.insert(id).inserted, let index = producers[id] else { continue }
            if let position = positions[index] {
                found.insert(position)
                continue
            }
            let node = graph.nodes[index]
            let operands = node.inputs.compactMap { $0 }.filter { producers[$0] != nil }
            guard operands.count > 1 else {
                waiting += operands
                continue
            }
            // What joins otherwise than by addition has no heads that could be replaced together.
            guard ["Add", "Sum", "Mean"].contains(node.opType) else {
                waiting += operands.prefix(1)
                continue
            }
            waiting += operands
        }
        return found.isEmpty ? layers.indices.suffix(1) : found.sorted()
    }

    /// Replaces the linear layer that makes the logits (Gemm, MatMul with its Add, or a 1x1 convolution), or the several whose
    /// results add up to them, by fresh ones for `classes` classes, trainable, initialised as `torch.nn.Linear`: weight and bias
    /// uniform in ±1/√inFeatures.
    ///
    /// Throws `GraphError` when such a layer is not linear or more follows it than the class count allows.
    @discardableResult
    public func replaceHead(
        classes: Int, imageSize: (height: Int, width: Int)? = nil, using random: inout RandomSource
    ) throws -> HeadReplacement {
        let heads = headLayers()
        guard let last = heads.last else { throw GraphError("the graph", "has no layer to replace") }
        let old = try classCount(imageSize: imageSize)
        var replaced = graph
        var inFeatures = 0
        for position in heads {
            inFeatures = try renew(layers[position], old, classes, in: &replaced, using: &random)
        }
        let classAxes = replaced.setClasses(classes, insteadOf: old, behind: heads.flatMap { layers[$0].nodes })
        let label = graph.nodes[layers[last].nodes[0]].label
        let place = GraphError(label, "cannot be replaced: what follows it needs \(old) classes; use --keep-head")
        let sizes = try batchRelations(imageSize: imageSize)
        guard let input = try? replaced.inputInfos(batch: sizes.pictures, imageSize: imageSize),
            let infos = try? replaced.infer(input)
        else { throw place }
        guard let shape = infos[logits]?.shape, elementCount(shape) == sizes.pictures * classes else { throw place }
        try adopt(replaced, layers: heads, classAxes: classAxes)
        return HeadReplacement(
            path: heads.map { layers[$0].path }.joined(separator: ", "), inFeatures: inFeatures, oldClasses: old,
            newClasses: classes)
    }

    /// Puts fresh constants of one layer into `replaced`; returns its number of inputs.
    private func renew(
        _ layer: Layer, _ old: Int, _ classes: Int, in replaced: inout Graph, using random: inout RandomSource
    ) throws -> Int {
        let node = graph.nodes[layer.nodes[0]]
        guard let weight = layer.parameters.first(where: { $0.role == "weight" }),
            let array = graph.constants[weight.root],
            let axis = classAxis(of: weight, node), array.shape[axis] == old
        else {
            throw GraphError(
                node.label,
                "is the last layer with parameters but not a linear one with \(old) outputs, so the head "
                    + "cannot be replaced; use --keep-head with \(old) classes")
        }
        let inFeatures = array.count / old
        let bound = 1 / Double(inFeatures).squareRoot()
        for slot in layer.parameters {
            guard let given = graph.constants[slot.root] else { continue }
            var shape = given.shape
            if slot.role == "weight" {
                shape[axis] = classes
            } else if shape.count(where: { $0 == old }) == 1 {
                shape = shape.map { $0 == old ? classes : $0 }
            } else {
                throw GraphError(
                    node.label, "has a bias of shape \(shape), expected one value for each of \(old) classes")
            }
            replaced.constants[slot.root] = Initialization.uniform(
                shape, -bound, bound, dtype: given.dtype, using: &random)
        }
        return inFeatures
    }

    /// The axis of a linear layer's stored weight that counts the outputs; nil when the layer is not linear.
    private func classAxis(of slot: Layer.Slot, _ node: Graph.Node) -> Int? {
        guard let rank = graph.constants[slot.root]?.rank else { return nil }
        var axis: Int
        switch node.op {
        case let gemm as Op.Gemm where slot.input == 1 && rank == 2: axis = gemm.transB ? 0 : 1
        case is Op.MatMul where slot.input == 1 && rank == 2: axis = 1
        case is Op.Conv where graph.constants[slot.root]?.shape.dropFirst(2).allSatisfy({ $0 == 1 }) == true: axis = 0
        default: return nil
        }
        // The stored array may pass through transpositions on its way to the node.
        let producers = graph.producers()
        var current = node.inputs[slot.input]
        while let id = current, id != slot.root {
            guard let index = producers[id] else { return nil }
            switch graph.nodes[index].opType {
            case "Identity", "Cast": break
            case "Transpose" where rank == 2: axis = 1 - axis
            default: return nil
            }
            current = graph.nodes[index].inputs[0]
        }
        return axis
    }
}

extension Graph {
    /// Puts `new` for `old` where a Reshape behind `nodes` has the number of classes in its constant target. Returns those
    /// nodes, with the place in the target.
    fileprivate mutating func setClasses(_ new: Int, insteadOf old: Int, behind nodes: [Int]) -> [Int: Int] {
        var axes: [Int: Int] = [:]
        var reached = Set(nodes.flatMap { self.nodes[$0].outputs.compactMap { $0 } })
        for (index, node) in self.nodes.enumerated() {
            guard let data = node.inputs.first ?? nil, reached.contains(data) else { continue }
            reached.formUnion(node.outputs.compactMap { $0 })
            guard node.opType == Op.Reshape.opType, node.inputs.count == 2, let id = node.inputs[1],
                var target = constants[id]?.integers(), target.count(where: { $0 == old }) == 1,
                let axis = target.firstIndex(of: old)
            else { continue }
            target[axis] = new
            // Another node may read the old one.
            let value = addValue("\(values[id].name) for \(new) classes")
            constants[value] = NDArray(target)
            self.nodes[index].inputs[1] = value
            axes[index] = axis
        }
        return axes
    }
}
