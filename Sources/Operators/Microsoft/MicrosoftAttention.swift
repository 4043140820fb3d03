import Autograd
import TensorCore

extension Op.Microsoft {
    /// Multi-head self-attention with the projections of query, key and value in one matrix.
    ///
    /// Inputs: x `[N, S, in]`, weights `[in, q + k + v]`, bias `[q + k + v]`, a mask of integers (`[N]` lengths, or 1 where keys
    /// are seen: `[N, T]`, `[N, S, T]`), and a bias added to the scores as the sixth. y: `[N, S, v]`. Keys of the past are refused.
    /// Source: ONNX Runtime, com.microsoft Attention 1.
    public struct Attention: CompositeOperator {
        public static let opType = "Attention"
        public static let domain = Op.Microsoft.domain
        public static var maximumInputs: Int { 6 }
        public static var parameterInputs: [Int: String] { [1: "weight", 2: "bias"] }
        private let heads: Int
        private let isCausal: Bool
        private let sizes: [Int]?
        private let scale: Double?
        private let hidden: Double

        public init(_ node: NodeAttributes) throws {
            heads = try node.int("num_heads", default: 0)
            isCausal = try node.bool("unidirectional", default: false)
            sizes = try node.ints("qkv_hidden_sizes")
            scale = try node.float("scale").flatMap { $0 == 0 ? nil : $0 }
            hidden = try node.float("mask_filter_value", default: -10000)
            guard heads > 0 else { throw node.unsupported("num_heads", "expected a positive number, got \(heads)") }
            if try node.bool("do_rotary", default: false) { throw node.unsupported("do_rotary", "is not supported") }
        }

        /// Features of query, key and value in `width` columns.
        private func parts(_ x: [Int], _ weight: [Int]) throws -> [Int] {
            guard x.count == 3, weight.count == 2, weight[0] == x[2] else {
                throw failure("expected input [N, S, in] and weights [in, q + k + v], got \(x) and \(weight)")
            }
            let parts = sizes ?? [Int](repeating: weight[1] / 3, count: 3)
            guard parts.count == 3, try sum(of: parts) == weight[1], parts.allSatisfy({ $0 > 0 && $0 % heads == 0 })
            else {
                throw failure("\(weight[1]) columns do not part into query, key and value of \(heads) heads")
            }
            return parts
        }

        public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation {
            batch.attention(operands: 1, examples: [3, 4])
        }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] {
            let x = try required(inputs, 0, "input")
            let parts = try parts(x.shape, required(inputs, 1, "weights").shape)
            return [ValueInfo(x.dtype, [x.shape[0], x.shape[1], parts[2]])]
        }

        public func expand(_ inputs: [Tensor?]) throws -> [Tensor] {
            let (x, weight) = (try required(inputs, 0, "input"), try required(inputs, 1, "weights"))
            let parts = try parts(x.shape, weight.shape)
            if optional(inputs, 4) != nil { throw failure("input 'past' is not supported") }
            var projected = try Op.MatMul()([x, weight])[0]
            if let bias = optional(inputs, 2) { projected = try Op.Add()([projected, bias])[0] }
            var (start, pieces) = (0, [Tensor]())
            for size in parts {
                pieces.append(try projected.sliced([start], [start + size], [2]).splitHeads(heads, Self.opType))
                start += size
            }
            let length = x.shape[1]
            var biases: [Tensor] = []
            if let mask = optional(inputs, 3) {
                biases.append(
                    try keyMaskBias(
                        mask.array, batch: x.shape[0], keys: length, hidden: hidden, dtype: x.dtype, Self.opType))
            }
            if isCausal {
                biases.append(try causalBias(queries: length, keys: length, past: 0, hidden: hidden, dtype: x.dtype))
            }
            if let added = optional(inputs, 5) { biases.append(added) }
            let attention = ScaledDotProduct(scale: scale ?? 1 / Double(max(parts[0] / heads, 1)).squareRoot())
            return [
                try attention(pieces[0], pieces[1], pieces[2], biases: biases, Self.opType).output.joinedHeads()
            ]
        }

        public static func samples() throws -> [OperatorSample] {
            let (x, w) = (OperatorSample.values([2, 3, 2]), OperatorSample.values([2, 12], in: -1...1, seed: 1))
            let b = OperatorSample.values([12], in: -1...1, seed: 2)
            func op(_ values: [String: AttributeValue]) throws -> Attention {
                try Attention(NodeAttributes(opType: opType, opset: 1, values.merging(["num_heads": .int(2)]) { $1 }))
            }
            let mask = NDArray([1, 1, 0, 0, 1, 1] as [Int32], shape: [2, 3])
            return [
                OperatorSample("plain", try op([:]), [x, w, b], differentiable: [0, 1, 2]),
                OperatorSample(
                    "masks", try op(["unidirectional": .int(1), "mask_filter_value": .float(-3)]),
                    [x, w, b, mask, nil, OperatorSample.values([1, 2, 3, 3], seed: 3)], differentiable: [0, 1, 2, 5]),
                OperatorSample(
                    "lengths", try op(["qkv_hidden_sizes": .ints([4, 4, 4]), "scale": .float(0.3)]),
                    [x, w, b, NDArray([2, 3] as [Int32])], differentiable: [0, 1, 2]),
            ]
        }
    }
}

/// What hides keys: `[N]` lengths, or 1 where a key is seen, `[N, keys]`, `[N, S, keys]` or `[N, 1, S, keys]`.
///
/// Throws `ShapeError` for a mask of another shape.
func keyMaskBias(
    _ mask: NDArray, batch: Int, keys: Int, hidden: Double, dtype: DType, _ operation: String
) throws -> Tensor {
    let shape = mask.shape
    func bias(_ seen: [Bool], _ shape: [Int]) -> Tensor {
        Tensor(NDArray(seen.map { $0 ? 0 : hidden }, shape: shape).converted(to: dtype))
    }
    if shape == [batch] {
        let seen = mask.integers().flatMap { length in (0..<keys).map { $0 < length } }
        return bias(seen, [batch, 1, 1, keys])
    }
    let seen = mask.doubles().map { $0 > 0 }
    switch shape.count {
    case 2 where shape == [batch, keys]: return bias(seen, [batch, 1, 1, keys])
    case 3 where shape[0] == batch && shape[2] == keys: return bias(seen, [batch, 1, shape[1], keys])
    case 4 where shape[3] == keys: return bias(seen, shape)
    default: throw ShapeError(operation, "a mask of shape \(shape) is not supported for \(batch) times \(keys) keys")
    }
}
