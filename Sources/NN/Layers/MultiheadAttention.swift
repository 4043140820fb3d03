import Autograd
import Operators
import TensorCore

/// softmax(q kᵀ / √D + mask) v over the last two axes. q: `[..., L, D]`, k: `[..., S, D]`, v: `[..., S, E]`.
///
/// - `mask`: added to the scores, or of bools where false forbids to look; broadcasts to `[..., L, S]`.
/// - `isCausal`: a position sees itself and what lies before it.
///
/// Source: `torch.nn.functional.scaled_dot_product_attention`.
public func scaledDotProductAttention(
    _ q: Tensor, _ k: Tensor, _ v: Tensor, mask: Tensor? = nil, isCausal: Bool = false
) throws -> Tensor {
    guard q.rank >= 2, k.rank >= 2, q.shape.last == k.shape.last, k.shape.dropLast().last == v.shape.dropLast().last
    else {
        throw ShapeError(
            "scaledDotProductAttention",
            "expected [..., L, D], [..., S, D] and [..., S, E], got \(q.shape), \(k.shape) and \(v.shape)")
    }
    return attentionWeights(q, k, mask: mask, isCausal: isCausal).matmul(v)
}

private func attentionWeights(_ q: Tensor, _ k: Tensor, mask: Tensor?, isCausal: Bool) -> Tensor {
    var scores = q.matmul(k.transpose(-2, -1)) / Double(q.shape[q.rank - 1]).squareRoot()
    if let mask { scores = mask.dtype == .bool ? Tensor.where(mask, scores, -Double.infinity) : scores + mask }
    if isCausal {
        let seen = Tensor.ones([q.shape[q.rank - 2], k.shape[k.rank - 2]]).tril() .> 0
        scores = Tensor.where(seen, scores, -Double.infinity)
    }
    return scores.softmax(dim: -1)
}

/// Attention of several heads side by side between projections. Source: `torch.nn.MultiheadAttention`.
///
/// Called with one tensor it is self-attention; with query, key and value it also gives the weights.
public final class MultiheadAttention: Module {
    /// `[3 · embedDim, embedDim]`: the projections of query, key and value.
    public let inProjWeight: Parameter
    /// `[3 · embedDim]`
    public let inProjBias: Parameter?
    public let outProj: Linear
    public let heads: Int
    /// Tensors are `[N, L, E]` instead of `[L, N, E]`.
    public let batchFirst: Bool
    private let dropout: Dropout

    /// - `heads`: divide `embedDim`.
    /// - `dropout`: probability that a weight becomes zero while training.
    /// - `random`: where the weights come from; by default the scope of `withRandomSeed`.
    public init(
        _ embedDim: Int, heads: Int, dropout: Double = 0, bias: Bool = true, batchFirst: Bool = false,
        dtype: DType = .float32, random: RandomSource? = nil
    ) {
        demand(
            heads > 0 && embedDim % heads == 0,
            "MultiheadAttention: \(embedDim) numbers do not divide into \(heads) heads")
        var random = random ?? RandomScope.next()
        // Xavier and Bengio's uniform weights; biases begin as zeros.
        let bound = (6 / Double(embedDim + 3 * embedDim)).squareRoot()
        inProjWeight = Parameter(
            Initialization.uniform([3 * embedDim, embedDim], -bound, bound, dtype: dtype, using: &random))
        inProjBias = bias ? Parameter(NDArray.zeros([3 * embedDim], dtype: dtype)) : nil
        let weight = Initialization.kaimingUniform([embedDim, embedDim], dtype: dtype, using: &random)
        outProj = checkedLinear(Parameter(weight), bias ? Parameter(NDArray.zeros([embedDim], dtype: dtype)) : nil)
        self.heads = heads
        self.batchFirst = batchFirst
        self.dropout = Dropout(dropout, random: random)
    }

    public var embedDim: Int { inProjWeight.shape[1] }

    public override var members: Members {
        ["in_proj_weight": inProjWeight, "in_proj_bias": inProjBias, "out_proj": outProj, "dropout": dropout]
    }

    /// Self-attention: query, key and value are x.
    public override func forward(_ x: Tensor) throws -> Tensor { try self(x, x, x).output }

    /// Attention of `query` `[L, N, E]` to `key` and `value` `[S, N, E]`, or with the first two axes changed under
    /// `batchFirst`.
    ///
    /// - `mask`: `[L, S]` or `[N · heads, L, S]`; added to the scores, or of bools where **true forbids** to look, as PyTorch's.
    /// - `keyPaddingMask`: bools `[N, S]`, true where a key is padding.
    /// - Returns: the output, and the weights averaged over heads, `[N, L, S]`.
    public func callAsFunction(
        _ query: Tensor, _ key: Tensor, _ value: Tensor, mask: Tensor? = nil, keyPaddingMask: Tensor? = nil
    ) throws -> (output: Tensor, weights: Tensor) {
        for x in [query, key, value] where x.rank != 3 || x.shape[2] != embedDim {
            throw ShapeError("MultiheadAttention", "expected three axes, the last of \(embedDim), got \(x.shape)")
        }
        let inputs = batchFirst ? [query, key, value] : [query, key, value].map { $0.transpose(0, 1) }
        let (n, l, s) = (inputs[0].shape[0], inputs[0].shape[1], inputs[1].shape[1])
        let weights = inProjWeight.chunk(3)
        let biases = inProjBias?.chunk(3)
        let parts = try (0..<3).map { part in
            try linear(inputs[part], weights[part], bias: biases?[part])
                .reshape([n, inputs[part].shape[1], heads, embedDim / heads]).transpose(1, 2)
        }
        var forbidden: Tensor?
        if let mask {
            let shaped = mask.rank == 3 ? mask.reshape([n, heads, l, s]) : mask
            forbidden =
                shaped.dtype == .bool ? Tensor.where(shaped, -Double.infinity, Tensor(0, dtype: query.dtype)) : shaped
        }
        if let keyPaddingMask {
            let padding = Tensor.where(
                keyPaddingMask.reshape([n, 1, 1, s]), -Double.infinity, Tensor(0, dtype: query.dtype))
            forbidden = forbidden.map { $0 + padding } ?? padding
        }
        let attention = try dropout(attentionWeights(parts[0], parts[1], mask: forbidden, isCausal: false))
        let joined = attention.matmul(parts[2]).transpose(1, 2).reshape([n, l, embedDim])
        let output = try outProj(joined)
        return (batchFirst ? output : output.transpose(0, 1), attention.mean(dim: 1))
    }

    public override func emptyCopy() throws -> Module {
        MultiheadAttention(
            embedDim, heads: heads, dropout: dropout.p, bias: inProjBias != nil, batchFirst: batchFirst,
            dtype: inProjWeight.dtype)
    }
}

private func checkedLinear(_ weight: Parameter, _ bias: Parameter?) -> Linear {
    do { return try Linear(weight: weight, bias: bias) } catch { mistake("\(error)") }
}
