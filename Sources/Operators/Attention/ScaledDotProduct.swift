import Autograd
import TensorCore

/// softmax(scale · q kᵀ + bias) v for heads of their own: what the operators of attention have in common.
struct ScaledDotProduct: Sendable {
    var scale: Double
    /// Scores are kept within ± this by a tangent; 0 leaves them.
    var softcap = 0.0
    /// Type of the probabilities' arithmetic; nil is that of the operands.
    var precision: DType?

    struct Result {
        var output, scores, capped, biased, probabilities: Tensor
    }

    /// - `query`: `[N, heads, S, D]`
    /// - `key`, `value`: `[N, kvHeads, T, D or E]`; kvHeads divides heads.
    /// - `biases`: added to the scores; each broadcasts to `[N, heads, S, T]`.
    /// - Returns: output `[N, heads, S, E]`, the rest `[N, heads, S, T]`.
    /// - Throws: `ShapeError` when the operands do not fit.
    func callAsFunction(
        _ query: Tensor, _ key: Tensor, _ value: Tensor, biases: [Tensor], _ operation: String
    ) throws -> Result {
        let (q, k, v) = (query.shape, key.shape, value.shape)
        guard q.count == 4, k.count == 4, v.count == 4, q[0] == k[0], k[0] == v[0], q[3] == k[3], k[1] == v[1],
            k[2] == v[2], k[1] > 0, q[1] % k[1] == 0
        else {
            throw ShapeError(
                operation,
                "expected query [N, heads, S, D], key [N, heads, T, D], value [N, heads, T, E], got \(q), \(k), \(v)")
        }
        guard query.dtype.isFloatingPoint, query.dtype == key.dtype, key.dtype == value.dtype else {
            throw ShapeError(
                operation, "operands have the types \(query.dtype), \(key.dtype) and \(value.dtype)")
        }
        let scores = [q[0], q[1], q[2], k[2]]
        for bias in biases where bias.dtype != query.dtype || broadcastShape(bias.shape, scores) != scores {
            throw ShapeError(
                operation,
                "expected a bias of \(query.dtype) that broadcasts to \(scores), got \(bias.dtype) \(bias.shape)")
        }
        // Both operands take the root of the scale: half precision has less room for their product.
        let root = abs(scale).squareRoot()
        let a = query * (scale < 0 ? -root : root)
        let b = try repeated(key, to: q[1]) * root
        var result = Result(output: a, scores: a, capped: a, biased: a, probabilities: a)
        result.scores = try apply(MatrixProduct(transposeB: true), a, b)
        result.capped = softcap > 0 ? (result.scores / softcap).tanh() * softcap : result.scores
        result.biased = biases.reduce(result.capped) { $0 + $1 }
        let precise = result.biased.to(precision ?? query.dtype)
        result.probabilities = try apply(SoftmaxFunction(axis: 3, logarithm: false), precise).to(query.dtype)
        result.output = try apply(MatrixProduct(), result.probabilities, repeated(value, to: q[1]))
        return result
    }

    /// Heads that several queries share, once for each.
    private func repeated(_ x: Tensor, to heads: Int) throws -> Tensor {
        let s = x.shape
        if s[1] == heads { return x }
        let copies = heads / s[1]
        return try apply(
            BroadcastTo(target: [s[0], s[1], copies, s[2], s[3]]), x.reshaped([s[0], s[1], 1, s[2], s[3]])
        )
        .reshaped([s[0], heads, s[2], s[3]])
    }
}

extension Tensor {
    /// `[N, heads, S, D]` of `[N, S, heads * D]`. Throws `ShapeError` when the heads do not divide the features.
    func splitHeads(_ heads: Int, _ operation: String) throws -> Tensor {
        guard rank == 3, heads > 0, shape[2] % heads == 0 else {
            throw ShapeError(operation, "expected [N, S, \(heads) * D], got \(shape)")
        }
        return try reshaped([shape[0], shape[1], heads, shape[2] / heads]).permuted([0, 2, 1, 3])
    }

    /// `[N, S, heads * D]` of `[N, heads, S, D]`.
    func joinedHeads() throws -> Tensor {
        try permuted([0, 2, 1, 3]).reshaped([shape[0], shape[2], shape[1] * shape[3]])
    }
}

/// 0 where a query of `queries` may see a key of `keys`, `hidden` where the key comes later: `[queries, keys]`.
func causalBias(
    queries: Int, keys: Int, past: Int, hidden: Double = -.infinity, dtype: DType
) throws -> Tensor {
    try requireAllocatable([queries, keys], dtype, "Attention")
    let values = (0..<queries).flatMap { query in (0..<keys).map { $0 > query + past ? hidden : 0 } }
    return Tensor(NDArray(values, shape: [queries, keys]).converted(to: dtype))
}
