import Autograd
import TensorCore

extension Op.Microsoft {
    /// Multi-head attention of projected query, key and value.
    ///
    /// Inputs: query `[N, S, heads * D]`, key `[N, T, heads * D]`, value `[N, T, heads * E]`, or query, key and value in one
    /// `[N, S, heads, 3, D]`, or key and value in one `[N, T, heads, 2, D]`, or key and value `[N, heads, T, D]`; a bias of the
    /// three; a mask of keys (`[N]`, `[N, T]`, `[N, S, T]`); a bias added to the scores. y: `[N, S, heads * E]`. Keys of the past
    /// are refused. Source: ONNX Runtime, com.microsoft MultiHeadAttention 1.
    public struct MultiHeadAttention: CompositeOperator {
        public static let opType = "MultiHeadAttention"
        public static let domain = Op.Microsoft.domain
        public static var maximumInputs: Int { 6 }
        public static var parameterInputs: [Int: String] { [3: "bias"] }
        private let heads: Int
        private let isCausal: Bool
        private let scale: Double?
        private let hidden: Double

        public init(_ node: NodeAttributes) throws {
            heads = try node.int("num_heads", default: 0)
            isCausal = try node.bool("unidirectional", default: false)
            scale = try node.float("scale").flatMap { $0 == 0 ? nil : $0 }
            hidden = try node.float("mask_filter_value", default: -10000)
            guard heads > 0 else { throw node.unsupported("num_heads", "expected a positive number, got \(heads)") }
        }

        public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation {
            batch.attention(operands: 3, examples: [4])
        }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] {
            let query = try required(inputs, 0, "query")
            let q = query.shape
            if q.count == 5 { return [ValueInfo(query.dtype, [q[0], q[1], try product(of: [q[2], q[4]])])] }
            guard q.count == 3 else { throw failure("expected a query of 3 or 5 axes, got \(q)") }
            guard let value = optional(inputs, 2)?.shape else { return [ValueInfo(query.dtype, q)] }
            let width = value.count == 4 ? try product(of: [value[1], value[3]]) : value.last ?? 0
            return [ValueInfo(query.dtype, [q[0], q[1], width])]
        }

        /// `[N, S, heads, D]` number `index` of `count` packed ones.
        private func unpacked(_ x: Tensor, _ index: Int, of count: Int) throws -> Tensor {
            let s = x.shape
            guard s.count == 5, s[2] == heads, s[3] == count else {
                throw failure("expected [N, S, \(heads), \(count), D], got \(s)")
            }
            return try x.sliced([index], [index + 1], [3]).reshaped([s[0], s[1], s[2], s[4]]).permuted([0, 2, 1, 3])
        }

        /// Query, key and value, each `[N, heads, S, D]`.
        private func operands(_ inputs: [Tensor?]) throws -> [Tensor] {
            let query = try required(inputs, 0, "query")
            if query.rank == 5 { return try (0..<3).map { try unpacked(query, $0, of: 3) } }
            let q = try query.splitHeads(heads, Self.opType)
            let key = try required(inputs, 1, "key")
            if key.rank == 5 { return [q] + (try (0..<2).map { try unpacked(key, $0, of: 2) }) }
            let value = try required(inputs, 2, "value")
            return [q] + (try [key, value].map { try $0.rank == 4 ? $0 : $0.splitHeads(heads, Self.opType) })
        }

        public func expand(_ inputs: [Tensor?]) throws -> [Tensor] {
            var parts = try operands(inputs)
            if let bias = optional(inputs, 3) {
                let widths = parts.map { $0.shape[1] * $0.shape[3] }
                guard bias.shape == [widths.reduce(0, +)], bias.dtype == parts[0].dtype else {
                    throw failure("expected a bias of \(widths.reduce(0, +)), got \(bias.shape)")
                }
                var start = 0
                for (index, width) in widths.enumerated() {
                    let piece = try bias.sliced([start], [start + width], [0])
                    parts[index] = try parts[index] + piece.reshaped([1, heads, 1, width / heads])
                    start += width
                }
            }
            let (q, k) = (parts[0], parts[1])
            var biases: [Tensor] = []
            if let mask = optional(inputs, 4) {
                biases.append(
                    try keyMaskBias(
                        mask.array, batch: q.shape[0], keys: k.shape[2], hidden: hidden, dtype: q.dtype, Self.opType))
            }
            if isCausal {
                biases.append(
                    try causalBias(queries: q.shape[2], keys: k.shape[2], past: 0, hidden: hidden, dtype: q.dtype))
            }
            if let added = optional(inputs, 5) { biases.append(added) }
            let attention = ScaledDotProduct(scale: scale ?? 1 / Double(max(q.shape[3], 1)).squareRoot())
            return [try attention(q, k, parts[2], biases: biases, Self.opType).output.joinedHeads()]
        }

        public static func samples() throws -> [OperatorSample] {
            func values(_ shape: [Int], _ seed: Int) -> NDArray { OperatorSample.values(shape, in: -1...1, seed: seed) }
            func op(_ given: [String: AttributeValue] = [:]) throws -> MultiHeadAttention {
                try MultiHeadAttention(
                    NodeAttributes(opType: opType, opset: 1, given.merging(["num_heads": .int(2)]) { $1 }))
            }
            let (q, k, v) = (values([2, 2, 4], 0), values([2, 3, 4], 1), values([2, 3, 4], 2))
            return [
                OperatorSample("three axes", try op(), [q, k, v, values([12], 3)], differentiable: [0, 1, 2, 3]),
                OperatorSample(
                    "masks",
                    try op(["unidirectional": .int(1), "mask_filter_value": .float(-3), "scale": .float(0.4)]),
                    [q, k, v, nil, NDArray([3, 2] as [Int32]), values([1, 2, 2, 3], 4)], differentiable: [0, 1, 2, 5]),
                OperatorSample("one input", try op(), [values([1, 2, 2, 3, 2], 5)], differentiable: [0]),
                OperatorSample(
                    "key and value", try op(), [q.rows(0..<1), values([1, 3, 2, 2, 2], 6)], differentiable: [0, 1]),
                OperatorSample(
                    "heads apart", try op(), [q.rows(0..<1), values([1, 2, 3, 2], 7), values([1, 2, 3, 2], 8)],
                    differentiable: [0, 1, 2]),
            ]
        }
    }
}
