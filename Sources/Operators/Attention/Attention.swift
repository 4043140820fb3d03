import Autograd
import TensorCore

extension Op {
    /// y = softmax(scale · Q Kᵀ + mask) V, for several heads, each query head with its key and value head.
    ///
    /// Inputs: Q, K, V, each `[N, heads, S, D]` or `[N, S, heads * D]`; a mask that broadcasts to `[N, heads, S, T]`, added or of
    /// bool; keys and values of the past, put in front; the number of keys of each example that are no padding. Outputs: Y, keys
    /// and values with the past, and the scores. ONNX Attention 23...; `torch.nn.functional.scaled_dot_product_attention`.
    public struct Attention: CompositeOperator {
        public static let opType = "Attention"
        public static var maximumInputs: Int { 7 }
        public static var maximumOutputs: Int { 4 }
        public static let opsets = 23...OperatorSet.newest
        let isCausal: Bool
        let scale: Double?
        let softcap: Double
        let queryHeads, keyHeads: Int?
        let scoresMode: Int
        let precision: DType?
        let outputCount: Int

        public init(causal: Bool = false, scale: Double? = nil) {
            isCausal = causal
            self.scale = scale
            (softcap, queryHeads, keyHeads, scoresMode, precision, outputCount) = (0, nil, nil, 0, nil, 1)
        }

        public init(_ node: NodeAttributes) throws {
            isCausal = try node.bool("is_causal", default: false)
            scale = try node.float("scale")
            softcap = try node.float("softcap", default: 0)
            queryHeads = try node.int("q_num_heads")
            keyHeads = try node.int("kv_num_heads")
            scoresMode = try node.int("qk_matmul_output_mode", default: 0)
            precision = try node.dtype("softmax_precision")
            outputCount = node.outputCount
            guard (0...3).contains(scoresMode) else {
                throw node.unsupported("qk_matmul_output_mode", "expected 0 to 3, got \(scoresMode)")
            }
            if let precision, !precision.isFloatingPoint {
                throw node.unsupported("softmax_precision", "expected a floating-point type, got \(precision)")
            }
        }

        /// The shape of an operand with its heads apart.
        private func split(_ shape: [Int], _ heads: Int?, _ name: String) throws -> [Int] {
            if shape.count == 4 { return shape }
            guard shape.count == 3, let heads, heads > 0, shape[2] % heads == 0 else {
                throw failure(
                    "input '\(name)': expected [N, heads, S, D] or, with the heads given, [N, S, heads * D], got \(shape)"
                )
            }
            return [shape[0], heads, shape[1], shape[2] / heads]
        }

        public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation {
            batch.attention(operands: 3, examples: [4, 5, 6])
        }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] {
            let given = try required(inputs, 0, "Q")
            let q = try split(given.shape, queryHeads, "Q")
            var k = try split(required(inputs, 1, "K").shape, keyHeads, "K")
            var v = try split(required(inputs, 2, "V").shape, keyHeads, "V")
            if let past = optional(inputs, 4), past.shape.count == 4 { k[2] = try sum(of: [past.shape[2], k[2]]) }
            if let past = optional(inputs, 5), past.shape.count == 4 { v[2] = try sum(of: [past.shape[2], v[2]]) }
            let y = given.shape.count == 4 ? [q[0], q[1], q[2], v[3]] : [q[0], q[2], try product(of: [q[1], v[3]])]
            let shapes = [y, k, v, [q[0], q[1], q[2], k[2]]]
            return shapes.prefix(outputCount).map { ValueInfo(given.dtype, $0) }
        }

        public func expand(_ inputs: [Tensor?]) throws -> [Tensor] {
            let given = try required(inputs, 0, "Q")
            func heads(_ x: Tensor, _ count: Int?, _ name: String) throws -> Tensor {
                let shape = try split(x.shape, count, name)
                return x.rank == 4 ? x : try x.splitHeads(shape[1], Self.opType)
            }
            let query = try heads(given, queryHeads, "Q")
            var key = try heads(required(inputs, 1, "K"), keyHeads, "K")
            var value = try heads(required(inputs, 2, "V"), keyHeads, "V")
            var past = 0
            if let before = optional(inputs, 4) {
                guard before.rank == 4 else {
                    throw failure("expected past keys [N, heads, P, D], got \(before.shape)")
                }
                past = before.shape[2]
                key = try Op.Concat(axis: 2)([before, key])[0]
            }
            if let before = optional(inputs, 5) { value = try Op.Concat(axis: 2)([before, value])[0] }
            let attention = ScaledDotProduct(
                scale: scale ?? 1 / Double(max(query.shape[3], 1)).squareRoot(), softcap: softcap, precision: precision)
            let biases = try biases(inputs, query, keys: key.shape[2], past: past)
            let result = try attention(query, key, value, biases: biases, Self.opType)
            let scores = [result.scores, result.capped, result.biased, result.probabilities][scoresMode]
            let output = given.rank == 4 ? result.output : try result.output.joinedHeads()
            return Array([output, key, value, scores].prefix(outputCount))
        }

        /// What is added to the scores: the mask, what hides later keys, and what hides padding.
        private func biases(_ inputs: [Tensor?], _ query: Tensor, keys: Int, past: Int) throws -> [Tensor] {
            var biases: [Tensor] = []
            if let given = optional(inputs, 3) {
                var mask = given
                if mask.dtype == .bool {
                    let hidden = NDArray(given.array.elements(as: Bool.self).map { $0 ? 0 : -Double.infinity })
                    mask = try Tensor(hidden.converted(to: query.dtype)).reshaped(given.shape)
                }
                let missing = keys - (mask.shape.last ?? keys)
                if missing > 0 {
                    // Keys that the mask does not reach are hidden.
                    let pads = [Int](repeating: 0, count: 2 * mask.rank - 1) + [missing]
                    mask = try Op.Pad(pads: pads, value: -.infinity)([mask])[0]
                }
                biases.append(mask)
            }
            if isCausal {
                biases.append(try causalBias(queries: query.shape[2], keys: keys, past: past, dtype: query.dtype))
            }
            if let lengths = optional(inputs, 6) {
                let counts = lengths.array.integers()
                guard counts.count == query.shape[0] else {
                    throw failure("expected \(query.shape[0]) lengths of keys, got \(lengths.shape)")
                }
                let hidden = counts.flatMap { count in (0..<keys).map { $0 < count ? 0 : -Double.infinity } }
                biases.append(Tensor(NDArray(hidden, shape: [counts.count, 1, 1, keys]).converted(to: query.dtype)))
            }
            return biases
        }

        public static func samples() throws -> [OperatorSample] {
            func values(_ shape: [Int], _ seed: Int) -> NDArray { OperatorSample.values(shape, seed: seed) }
            let (q, k, v) = (values([1, 2, 2, 3], 0), values([1, 2, 3, 3], 1), values([1, 2, 3, 2], 2))
            let mask = NDArray([true, false, true, true, true, false], shape: [2, 3])
            func op(_ outputs: Int, _ given: [String: AttributeValue]) throws -> Op.Attention {
                try Op.Attention(NodeAttributes(opType: opType, opset: 23, outputCount: outputs, given))
            }
            let three: [String: AttributeValue] = ["q_num_heads": .int(4), "kv_num_heads": .int(2)]
            return [
                OperatorSample("four axes", Op.Attention(), [q, k, v], differentiable: [0, 1, 2]),
                OperatorSample(
                    "causal", Op.Attention(causal: true, scale: 0.3), [q, k, v], differentiable: [0, 1, 2]),
                OperatorSample("bool mask", Op.Attention(), [q, k, v, mask], differentiable: [0, 1, 2]),
                OperatorSample(
                    "added mask, past, all outputs",
                    try op(4, ["softcap": .float(2), "qk_matmul_output_mode": .int(1)]),
                    [q, k.rows(0..<1), v, values([2, 4], 3), values([1, 2, 1, 3], 4), values([1, 2, 1, 2], 5)],
                    differentiable: [0, 1, 2, 3, 4, 5]),
                OperatorSample(
                    "shared heads", try op(1, three),
                    [values([1, 2, 8], 0), values([1, 3, 4], 1), values([1, 3, 4], 2)],
                    differentiable: [0, 1, 2]),
                OperatorSample(
                    "padding", Op.Attention(), [q, k, v, nil, nil, nil, NDArray([2])], differentiable: [0, 1, 2]),
            ]
        }
    }
}

/// softmax(q kᵀ / √D + mask) v for query, key and value `[N, heads, S, D]`. Throws `ShapeError` for operands that do not fit.
///
/// Source: `torch.nn.functional.scaled_dot_product_attention`.
public func scaledDotProductAttention(
    _ query: Tensor, _ key: Tensor, _ value: Tensor, mask: Tensor? = nil, isCausal: Bool = false, scale: Double? = nil
) throws -> Tensor {
    try Op.Attention(causal: isCausal, scale: scale)([query, key, value, mask])[0]
}
