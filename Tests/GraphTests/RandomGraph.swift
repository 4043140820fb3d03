import Operators
import TensorCore

@testable import GraphIR

/// A random graph of the constructions that exporters write around the batch: views with sizes read from shapes, windows,
/// sequence-first tokens, class tokens, gates, attention, norms.
struct RandomGraph {
    private(set) var graph = Graph()
    private var random: RandomSource
    /// Values of pictures that the next construction may take, with their shapes for two pictures.
    private var maps: [(id: ValueID, channels: Int, side: Int)] = []
    private var count = 0

    init(seed: UInt64, constructions: Int = 6) {
        random = RandomSource(seed: seed)
        let input = graph.addValue(
            "input", declared: .init(.float32, [.symbolic("N"), .fixed(3), .fixed(8), .fixed(8)]))
        graph.inputs = [input]
        maps = [(input, 3, 8)]
        for _ in 0..<constructions { construct() }
        let (last, channels, _) = maps[maps.count - 1]
        let pooled = add(Op.GlobalAveragePool(), [last])
        let flat = add(Op.Flatten(), [pooled])
        let logits = add(Op.Gemm(transB: true), [flat, weight([5, channels]), weight([5])])
        graph.outputs = [logits]
    }

    private mutating func add(_ op: any Operator, _ inputs: [ValueID]) -> ValueID {
        count += 1
        let output = graph.addValue("v\(count)")
        graph.nodes.append(Graph.Node(name: "n\(count)", op: op, inputs: inputs, outputs: [output]))
        return output
    }

    private mutating func weight(_ shape: [Int]) -> ValueID {
        count += 1
        let id = graph.addValue("w\(count).weight")
        graph.constants[id] = (try? NDArray.randomNormal(shape, from: &random)) ?? NDArray.zeros(shape, dtype: .float32)
        return id
    }

    private mutating func integers(_ values: [Int]) -> ValueID {
        count += 1
        let id = graph.addValue("i\(count)")
        graph.constants[id] = NDArray(values)
        return id
    }

    /// The batch size as exporters read it, `[1]`.
    private mutating func batchSize(of id: ValueID) -> ValueID {
        add(Op.Gather(), [add(Op.Shape(), [id]), integers([0])])
    }

    private mutating func reshape(_ x: ValueID, _ parts: [ValueID]) -> ValueID {
        add(Op.Reshape(), [x, parts.count == 1 ? parts[0] : add(Op.Concat(axis: 0), parts)])
    }

    private mutating func construct() {
        let (x, c, s) = maps[random.integer(below: maps.count)]
        switch random.integer(below: 13) {
        case 0:
            let made = add(Op.Conv(pads: [1, 1, 1, 1]), [x, weight([4, c, 3, 3])])
            maps.append((add(Op.Relu(), [made]), 4, s))
        case 10:
            // view(x.size(0), x.size(1), -1) and back.
            let sizes = add(Op.Shape(), [x])
            let flat = reshape(x, [add(Op.Slice(), [sizes, integers([0]), integers([2])]), integers([-1])])
            maps.append((reshape(add(Op.Tanh(), [flat]), [sizes]), c, s))
        case 1:
            // view(x.size(0), -1) and back.
            let flat = reshape(x, [batchSize(of: x), integers([-1])])
            maps.append((reshape(add(Op.Sigmoid(), [flat]), [batchSize(of: flat), integers([c, s, s])]), c, s))
        case 2:
            // Windows of half the side, through a layer and back.
            guard s % 2 == 0 else { return }
            let cut = reshape(x, [batchSize(of: x), integers([c, 2, s / 2, 2, s / 2])])
            let moved = add(Op.Transpose(permutation: [0, 2, 4, 3, 5, 1]), [cut])
            let windows = reshape(moved, [integers([-1, s * s / 4, c])])
            let made = attention(windows, c)
            let back = reshape(made, [integers([-1, 2, 2, s / 2, s / 2, c])])
            maps.append(
                (reshape(add(Op.Transpose(permutation: [0, 5, 1, 3, 2, 4]), [back]), [integers([-1, c, s, s])]), c, s))
        case 3:
            // Sequence-first tokens, joined with the places for a linear layer.
            let tokens = add(
                Op.Transpose(permutation: [2, 0, 1]), [reshape(x, [batchSize(of: x), integers([c, s * s])])])
            let joined = reshape(tokens, [integers([-1, c])])
            let made = add(Op.Gemm(transB: true), [joined, weight([c, c]), weight([c])])
            let apart = reshape(made, [integers([s * s]), batchSize(of: x), integers([c])])
            maps.append(
                (reshape(add(Op.Transpose(permutation: [1, 2, 0]), [apart]), [integers([-1, c, s, s])]), c, s))
        case 4:
            // A class token in front, taken off again after a norm.
            let tokens = add(Op.Transpose(permutation: [0, 2, 1]), [reshape(x, [integers([0, c, -1])])])
            let target = add(Op.Concat(axis: 0), [batchSize(of: x), integers([1, c])])
            let token = add(Op.Expand(), [weight([1, 1, c]), target])
            let all = add(Op.Concat(axis: 1), [token, tokens])
            let normed = add(Op.LayerNormalization(), [attention(all, c), weight([c]), weight([c])])
            let rest = add(Op.Slice(), [normed, integers([1]), integers([1 << 40]), integers([1])])
            maps.append((reshape(add(Op.Transpose(permutation: [0, 2, 1]), [rest]), [integers([0, c, s, s])]), c, s))
        case 11:
            // A factor of the channels, read from the shape.
            let channels = add(Op.Gather(), [add(Op.Shape(), [x]), integers([1])])
            maps.append((add(Op.Mul(), [x, add(Op.Sqrt(), [add(Op.Cast(to: .float32), [channels])])]), c, s))
        case 5:
            // Squeeze and excite.
            let mean = add(Op.ReduceMean(axes: [2, 3], keepDims: false), [x])
            let gate = add(Op.Sigmoid(), [add(Op.Gemm(transB: true), [mean, weight([c, c]), weight([c])])])
            maps.append((add(Op.Mul(), [x, reshape(gate, [batchSize(of: x), integers([c, 1, 1])])]), c, s))
        case 6:
            // keepdim as indices into all elements.
            let flat = reshape(add(Op.ReduceMean(axes: [2, 3]), [x]), [integers([-1])])
            let range = add(Op.Range(), scalars(batchSize(of: x), c))
            let indices = reshape(range, [batchSize(of: x), integers([c, 1, 1])])
            maps.append((add(Op.Add(), [x, add(Op.Gather(), [flat, indices])]), c, s))
        case 7:
            // Several pictures meet.
            maps.append((add(Op.Sub(), [x, add(Op.ReduceMean(axes: [0]), [x])]), c, s))
        case 8:
            let other = maps[random.integer(below: maps.count)]
            guard other.side == s else { return }
            maps.append((add(Op.Concat(axis: 1), [x, other.id]), c + other.channels, s))
        case 9:
            // The number of pictures enters the numbers.
            let n = add(Op.Cast(to: .float32), [batchSize(of: x)])
            maps.append((add(Op.Div(), [x, n]), c, s))
        default:
            maps.append((add(Op.Softmax(axis: random.integer(below: 2) + 1), [x]), c, s))
        }
    }

    /// start, limit and step of 0 ..< n · c.
    private mutating func scalars(_ n: ValueID, _ c: Int) -> [ValueID] {
        let limit = add(Op.Squeeze(axes: [0]), [add(Op.Mul(), [n, integers([c])])])
        count += 2
        let (zero, one) = (graph.addValue("i\(count - 1)"), graph.addValue("i\(count)"))
        graph.constants[zero] = NDArray(scalar: 0)
        graph.constants[one] = NDArray(scalar: 1)
        return [zero, limit, one]
    }

    /// softmax(q kᵀ) v of `[..., L, c]`.
    private mutating func attention(_ x: ValueID, _ c: Int) -> ValueID {
        let q = add(Op.MatMul(), [x, weight([c, c])]), k = add(Op.MatMul(), [x, weight([c, c])])
        let scores = add(Op.MatMul(), [q, add(Op.Transpose(permutation: [0, 2, 1]), [k])])
        return add(Op.MatMul(), [add(Op.Softmax(), [scores]), x])
    }
}
