import Autograd
import TensorCore

extension Op {
    /// Pairs of features of every token turned by angles that depend on its position.
    ///
    /// x: `[N, heads, S, D]` or `[N, S, heads * D]`; cos and sin: `[positions, R / 2]` with position ids `[N, S]`, or
    /// `[N, S, R / 2]` without; the first R features of a head are turned. ONNX RotaryEmbedding 23...
    public struct RotaryEmbedding: CompositeOperator {
        public static let opType = "RotaryEmbedding"
        public static var maximumInputs: Int { 4 }
        public static let opsets = 23...OperatorSet.newest
        /// Pairs are neighbours; otherwise the halves of a head's features face each other.
        let isInterleaved: Bool
        /// Heads of x of three axes.
        let heads: Int
        /// Features that are turned; 0 means all.
        let rotated: Int

        public init(interleaved: Bool = false, heads: Int = 0, rotated: Int = 0) {
            isInterleaved = interleaved
            self.heads = heads
            self.rotated = rotated
        }

        public init(_ node: NodeAttributes) throws {
            isInterleaved = try node.bool("interleaved", default: false)
            heads = try node.int("num_heads", default: 0)
            rotated = try node.int("rotary_embedding_dim", default: 0)
        }

        public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation {
            guard batch.hasPictures else { return .counted }
            guard let found = batch.operand(0)?.relation.pictures, found.axis == 0 else { return .mixed }
            // Tables of places are the same for every example; places and tables of each are not.
            let others = batch.inputs.dropFirst().compactMap { $0 }
            let isSame = others.enumerated().allSatisfy { index, operand in
                operand.relation == .images(found)
                    || (index < 2 && operand.relation == .constant && operand.shape.count == 2)
            }
            return isSame ? .images(found) : .mixed
        }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] {
            let x = try required(inputs, 0, "X")
            return [ValueInfo(x.dtype, x.shape)]
        }

        public func expand(_ inputs: [Tensor?]) throws -> [Tensor] {
            let given = try required(inputs, 0, "X")
            let (cosines, sines) = (try required(inputs, 1, "cos_cache"), try required(inputs, 2, "sin_cache"))
            var x = given
            if given.rank == 3 {
                guard heads > 0, given.shape[2] % heads == 0 else {
                    throw failure("\(heads) heads do not divide the \(given.shape[2]) features of \(given.shape)")
                }
                let (n, s) = (given.shape[0], given.shape[1])
                x = try given.reshaped([n, s, heads, given.shape[2] / heads])
            } else if given.rank == 4 {
                x = try given.permuted([0, 2, 1, 3])
            } else {
                throw failure("expected X [N, heads, S, D] or [N, S, heads * D], got \(given.shape)")
            }
            let size = x.shape[3]
            let width = rotated == 0 ? size : rotated
            guard width > 0, width <= size, width % 2 == 0 else {
                throw failure("cannot turn \(width) of \(size) features in pairs")
            }
            let y = try turned(
                x.sliced([0], [width], [3]), angles(cosines, inputs, x, width / 2), angles(sines, inputs, x, width / 2))
            let rest = width < size ? [try x.sliced([width], [size], [3])] : []
            let all = try Op.Concat(axis: 3)(([y] + rest).map(Optional.some))[0]
            return [given.rank == 3 ? try all.reshaped(given.shape) : try all.permuted([0, 2, 1, 3])]
        }

        /// `[N, S, 1, pairs]` of a cache.
        private func angles(_ cache: Tensor, _ inputs: [Tensor?], _ x: Tensor, _ pairs: Int) throws -> Tensor {
            var cache = cache
            if let ids = optional(inputs, 3) {
                guard cache.rank == 2 else {
                    throw failure("expected caches [positions, \(pairs)], got \(cache.shape)")
                }
                cache = try cache.mapped(SliceGather(indices: ids.array, axis: 0))
            }
            let (n, s) = (x.shape[0], x.shape[1])
            guard cache.dtype == x.dtype, cache.shape == [n, s, pairs] || cache.shape == [1, s, pairs] else {
                throw failure("expected caches of \(x.dtype) [\(n), \(s), \(pairs)], got \(cache.dtype) \(cache.shape)")
            }
            return try cache.reshaped([cache.shape[0], s, 1, pairs])
        }

        private func turned(_ x: Tensor, _ cos: Tensor, _ sin: Tensor) throws -> Tensor {
            let (shape, pairs) = (x.shape, x.shape[3] / 2)
            // The two of a pair along an axis of their own: the last one, or the one before it.
            let (split, axis) = isInterleaved ? ([pairs, 2], 4) : ([2, pairs], 3)
            let parts = try x.reshaped(shape[..<3] + split)
            let outer = Array(shape[..<3]) + [pairs]
            let a = try parts.sliced([0], [1], [axis]).reshaped(outer)
            let b = try parts.sliced([1], [2], [axis]).reshaped(outer)
            let column = shape[..<3] + (isInterleaved ? [pairs, 1] : [1, pairs])
            let results = try [cos * a - sin * b, sin * a + cos * b].map { try $0.reshaped(Array(column)) }
            return try Op.Concat(axis: axis)(results.map(Optional.some))[0].reshaped(shape)
        }

        public static func samples() throws -> [OperatorSample] {
            let x = OperatorSample.values([1, 2, 3, 4])
            let (cos, sin) = (OperatorSample.values([5, 2], seed: 1), OperatorSample.values([5, 2], seed: 2))
            let ids = NDArray([0, 4, 2], shape: [1, 3])
            let (a, b) = (OperatorSample.values([1, 3, 1], seed: 1), OperatorSample.values([1, 3, 1], seed: 2))
            return [
                OperatorSample("halves", Op.RotaryEmbedding(), [x, cos, sin, ids], differentiable: [0, 1, 2]),
                OperatorSample(
                    "two examples", Op.RotaryEmbedding(),
                    [OperatorSample.values([2, 1, 2, 4]), cos, sin, NDArray([0, 4, 2, 1], shape: [2, 2])],
                    differentiable: [0, 1, 2]),
                OperatorSample(
                    "neighbours", Op.RotaryEmbedding(interleaved: true), [x, cos, sin, ids], differentiable: [0, 1, 2]),
                OperatorSample(
                    "some of three axes", Op.RotaryEmbedding(heads: 2, rotated: 2),
                    [OperatorSample.values([1, 3, 8]), a, b], differentiable: [0, 1, 2]),
            ]
        }
    }
}
