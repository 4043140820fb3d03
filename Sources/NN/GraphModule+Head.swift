import Autograd
import GraphIR
import Operators
import TensorCore

extension GraphModule {
    /// What `replaceHead` did.
    public struct HeadReplacement: Sendable {
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
        let infos = try graph.infer(try graph.inputInfos(batch: 2, imageSize: imageSize))
        guard let shape = infos[logits]?.shape, shape.first == 2, shape.count >= 2 else {
            throw GraphError(place, "is not one row of logits per picture")
        }
        let sizes = shape.dropFirst()
        // A head may keep spatial axes of size 1.
        let classes = sizes.max() ?? 0
        guard elementCount(Array(sizes)) == classes else {
            let text = sizes.map { "\($0)" }.joined(separator: ", ")
            throw GraphError(place, "has the shape [N, \(text)], expected [N, classes]")
        }
        guard classes >= 2 else {
            throw GraphError(place, "has one value per picture; a classifier needs the logits of at least 2 classes")
        }
        if let producer = graph.producers()[logits], graph.nodes[producer].op is Op.Sigmoid {
            throw GraphError(place, "comes from a Sigmoid, which is not supported; expected logits or their Softmax")
        }
        return classes
    }

    /// Replaces the last linear layer (Gemm, MatMul with its Add, or a 1x1 convolution) by a fresh one for `classes`
    /// classes, trainable, initialised as `torch.nn.Linear`: weight and bias uniform in ±1/√inFeatures.
    ///
    /// Throws `GraphError` when the last parametric layer is not linear or more follows it than the class count allows.
    @discardableResult
    public func replaceHead(
        classes: Int, imageSize: (height: Int, width: Int)? = nil, using random: inout RandomSource
    ) throws -> HeadReplacement {
        guard let position = layers.indices.last else { throw GraphError("the graph", "has no layer to replace") }
        let layer = layers[position]
        let node = graph.nodes[layer.nodes[0]]
        let old = try classCount(imageSize: imageSize)
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
        var replaced = graph
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
        let classAxes = replaced.setClasses(classes, insteadOf: old, behind: layer.nodes)
        let infos = try replaced.infer(try replaced.inputInfos(batch: 2, imageSize: imageSize))
        guard let shape = infos[logits]?.shape, elementCount(shape) == 2 * classes else {
            throw GraphError(node.label, "cannot be replaced: what follows it needs \(old) classes")
        }
        try adopt(replaced, layer: position, classAxes: classAxes)
        return HeadReplacement(path: layer.path, inFeatures: inFeatures, oldClasses: old, newClasses: classes)
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
