import GraphIR
import Operators
import TensorCore

/// A graph of a residual network with seeded weights: 7x7 stem, batch norms, max pool, two basic blocks per stage, head.
struct ResidualNetwork {
    var graph = Graph()
    /// The pictures.
    let input: ValueID
    /// Outputs of the stem and of every stage, then the logits.
    private(set) var stages: [ValueID] = []
    private var generator = SplitMix(state: 7)

    init(stages widths: [Int], classes: Int, blocksPerStage: Int = 2) throws {
        input = graph.addValue("x")
        graph.inputs = [input]
        var x = convolve(input, 3, widths[0], kernel: 7, stride: 2, "stem")
        x = node(Op.Relu(), [x], "stem/relu")
        x = node(Op.MaxPool(kernelShape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1]), [x], "pool")
        stages.append(x)
        var channels = widths[0]
        for (stage, width) in widths.enumerated() {
            for block in 0..<blocksPerStage {
                let name = "layer\(stage + 1).\(block)"
                let stride = stage > 0 && block == 0 ? 2 : 1
                var y = convolve(x, channels, width, kernel: 3, stride: stride, "\(name).conv1")
                y = node(Op.Relu(), [y], "\(name).relu1")
                y = convolve(y, width, width, kernel: 3, stride: 1, "\(name).conv2")
                if stride != 1 || channels != width {
                    x = convolve(x, channels, width, kernel: 1, stride: stride, "\(name).downsample")
                }
                x = node(Op.Relu(), [node(Op.Add(), [y, x], "\(name).add")], "\(name).relu2")
                channels = width
            }
            stages.append(x)
        }
        x = node(Op.GlobalAveragePool(), [x], "avgpool")
        x = node(Op.Flatten(), [x], "flatten")
        let weight = constant([channels, classes], scale: 1 / Double(channels).squareRoot(), "fc.weight")
        x = node(Op.Gemm(), [x, weight], "fc")
        stages.append(x)
        graph.outputs = [x]
    }

    private mutating func node(_ op: any Operator, _ inputs: [ValueID?], _ name: String) -> ValueID {
        let output = graph.addValue("\(name).y")
        graph.nodes.append(Graph.Node(name: name, op: op, inputs: inputs, outputs: [output]))
        return output
    }

    private mutating func constant(
        _ shape: [Int], scale: Double, offset: Double = 0, _ name: String
    ) -> ValueID {
        let id = graph.addValue(name)
        let values = (0..<elementCount(shape)).map { _ in Float(generator.next() * scale + offset) }
        graph.constants[id] = NDArray(values, shape: shape)
        return id
    }

    private mutating func convolve(
        _ x: ValueID, _ inChannels: Int, _ outChannels: Int, kernel: Int, stride: Int, _ name: String
    ) -> ValueID {
        let scale = (6 / Double(inChannels * kernel * kernel)).squareRoot()
        let weight = constant([outChannels, inChannels, kernel, kernel], scale: scale, "\(name).weight")
        let pad = [Int](repeating: kernel / 2, count: 4)
        let y = node(Op.Conv(strides: [stride, stride], pads: pad), [x, weight], name)
        let parameters = [
            constant([outChannels], scale: 0.2, offset: 1, "\(name).scale"),
            constant([outChannels], scale: 0.2, "\(name).shift"),
            constant([outChannels], scale: 0.2, "\(name).mean"),
            constant([outChannels], scale: 0.2, offset: 1, "\(name).var"),
        ]
        return node(Op.BatchNormalization(), [y] + parameters, "\(name).bn")
    }

    /// Pictures [batch, 3, size, size] that depend on `seed` only.
    static func pictures(_ batch: Int, size: Int, seed: UInt64) -> NDArray {
        var generator = SplitMix(state: seed)
        return NDArray(
            (0..<batch * 3 * size * size).map { _ in Float(generator.next()) }, shape: [batch, 3, size, size])
    }
}

/// Numbers in [-1, 1).
struct SplitMix {
    var state: UInt64

    mutating func next() -> Double {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        z ^= z >> 31
        return Double(Int64(bitPattern: z) >> 11) * 0x1p-52
    }
}
