import Operators
import TensorCore

/// A convolution with what follows it and only it: batch norm in its weights, then a residual sum, then an activation.
struct FusedConvolution: Sendable {
    /// The Conv node, for messages.
    var node: Int
    var op: Op.Conv
    var input: ValueID
    var weight: NDArray
    var bias: NDArray?
    var residual: ValueID?
    var activation = FusedActivation.none
    var output: ValueID
}

/// A node of a plan, or several fused into one.
enum PlanNode: Sendable {
    case convolution(FusedConvolution)
    /// `activation(a + b)` of equal shapes.
    case addition(a: ValueID, b: ValueID, activation: FusedActivation, output: ValueID)
    case node(Int)
}

/// Fuses the nodes of a plan where a value has one reader only.
struct PlanFusion {
    let graph: Graph
    let nodes: [Int]
    let constants: [ValueID: NDArray]
    let infos: [ValueID: ValueInfo]
    /// Positions in `nodes` that read a value; results are read once more, by the caller.
    private var readers: [ValueID: [Int]] = [:]
    /// Position in `nodes` that makes a value.
    private var makers: [ValueID: Int] = [:]
    private let results: Set<ValueID>

    init(
        _ graph: Graph, nodes: [Int], constants: [ValueID: NDArray], results: [ValueID], infos: [ValueID: ValueInfo]
    ) {
        self.graph = graph
        self.nodes = nodes
        self.constants = constants
        self.infos = infos
        self.results = Set(results)
        for (position, index) in nodes.enumerated() {
            for case let id? in graph.nodes[index].inputs { readers[id, default: []].append(position) }
            for case let id? in graph.nodes[index].outputs { makers[id] = position }
        }
    }

    func fuse() -> [PlanNode] {
        var absorbed: Set<Int> = []
        var fused: [PlanNode] = []
        for (position, index) in nodes.enumerated() where !absorbed.contains(position) {
            if var convolution = convolution(at: index) {
                foldBatchNormalization(into: &convolution, &absorbed)
                addResidual(to: &convolution, position, &absorbed)
                activate(&convolution.output, &convolution.activation, &absorbed)
                fused.append(.convolution(convolution))
            } else if let (a, b, sum) = addition(at: index) {
                var (output, activation) = (sum, FusedActivation.none)
                activate(&output, &activation, &absorbed)
                fused.append(.addition(a: a, b: b, activation: activation, output: output))
            } else {
                fused.append(.node(index))
            }
        }
        return fused
    }

    /// The position of the only node that reads `value`, unless the caller wants the value too.
    private func soleReader(of value: ValueID) -> Int? {
        guard !results.contains(value), let positions = readers[value], positions.count == 1 else { return nil }
        return positions[0]
    }

    private func convolution(at index: Int) -> FusedConvolution? {
        let node = graph.nodes[index]
        guard node.inputs.count > 1, let op = node.op as? Op.Conv, let input = node.inputs[0],
            let output = node.outputs[0],
            let weightID = node.inputs[1], let weight = constants[weightID], weight.dtype == .float32,
            constants[input] == nil, infos[input]?.dtype == .float32, infos[output] != nil
        else { return nil }
        var result = FusedConvolution(node: index, op: op, input: input, weight: weight, output: output)
        if node.inputs.count > 2, let id = node.inputs[2] {
            guard let bias = constants[id] else { return nil }
            result.bias = bias
        }
        return result
    }

    /// w' = w · s and b' = (b - mean) · s + shift, with s = scale / √(variance + epsilon).
    private func foldBatchNormalization(into convolution: inout FusedConvolution, _ absorbed: inout Set<Int>) {
        guard let position = soleReader(of: convolution.output) else { return }
        let node = graph.nodes[nodes[position]]
        guard let op = node.op as? Op.BatchNormalization, !op.isTraining, node.inputs[0] == convolution.output,
            let output = node.outputs[0], node.outputs.dropFirst().allSatisfy({ $0 == nil }),
            infos[output]?.shape == infos[convolution.output]?.shape
        else { return }
        let channels = convolution.weight.shape[0]
        let parameters = node.inputs.dropFirst().compactMap { $0.flatMap { constants[$0] } }
        guard parameters.count == 4, parameters.allSatisfy({ $0.count == channels }) else { return }
        let (scale, shift, mean, variance) = (
            parameters[0].doubles(), parameters[1].doubles(), parameters[2].doubles(), parameters[3].doubles()
        )
        let factors = (0..<channels).map { scale[$0] / (variance[$0] + op.epsilon).squareRoot() }
        let bias = convolution.bias?.doubles() ?? [Double](repeating: 0, count: channels)
        let perChannel = channels == 0 ? 0 : convolution.weight.count / channels
        convolution.weight.withMutableElements(as: Float.self) { weights in
            for channel in 0..<channels {
                let factor = factors[channel]
                for i in channel * perChannel..<(channel + 1) * perChannel {
                    weights[i] = Float(Double(weights[i]) * factor)
                }
            }
        }
        convolution.bias = NDArray((0..<channels).map { Float((bias[$0] - mean[$0]) * factors[$0] + shift[$0]) })
        convolution.output = output
        absorbed.insert(position)
    }

    private func addResidual(to convolution: inout FusedConvolution, _ convolutionAt: Int, _ absorbed: inout Set<Int>) {
        guard let position = soleReader(of: convolution.output), !absorbed.contains(position),
            let (a, b, sum) = addition(at: nodes[position])
        else { return }
        let other = a == convolution.output ? b : a
        // The other operand must be there when the convolution runs.
        guard other != convolution.output, (makers[other] ?? -1) < convolutionAt else { return }
        convolution.residual = other
        convolution.output = sum
        absorbed.insert(position)
    }

    /// The operands and the sum of an Add of two computed arrays of one shape.
    private func addition(at index: Int) -> (ValueID, ValueID, ValueID)? {
        let node = graph.nodes[index]
        guard node.op is Op.Add, node.inputs.count == 2, let a = node.inputs[0], let b = node.inputs[1],
            let sum = node.outputs[0], constants[a] == nil, constants[b] == nil, let info = infos[a],
            info.dtype == .float32, info.shape.count == 4, infos[b]?.shape == info.shape
        else { return nil }
        return (a, b, sum)
    }

    private func activate(
        _ output: inout ValueID, _ activation: inout FusedActivation, _ absorbed: inout Set<Int>
    ) {
        guard let position = soleReader(of: output), !absorbed.contains(position) else { return }
        let node = graph.nodes[nodes[position]]
        guard let result = node.outputs[0], node.inputs[0] == output else { return }
        switch node.op {
        case is Op.Relu: activation = .relu
        case let clip as Op.Clip:
            guard let limits = clip.limits(node.inputs.map { $0.flatMap { constants[$0] } }, given: node.inputs) else {
                return
            }
            activation = .clip(low: limits.min, high: limits.max)
        default: return
        }
        output = result
        absorbed.insert(position)
    }
}

extension Op.Clip {
    /// The limits when both are known: absent ones are infinite; nil when an input that gives one is not constant.
    fileprivate func limits(_ values: [NDArray?], given: [ValueID?]) -> (min: Double, max: Double)? {
        func limit(_ index: Int, _ attribute: Double?, _ absent: Double) -> Double? {
            guard index < given.count, given[index] != nil else { return attribute ?? absent }
            guard let value = values[index], value.count == 1 else { return nil }
            return value.item()
        }
        guard let low = limit(1, min, -.infinity), let high = limit(2, max, .infinity), low <= high else { return nil }
        return (low, high)
    }
}
