import TensorCore

extension Op {
    /// Ones on diagonal k of a matrix shaped like the input, zeros elsewhere. ONNX EyeLike 9...
    public struct EyeLike: Operator {
        public static let opType = "EyeLike"
        public static let opsets = 9...OperatorSet.newest
        let dtype: DType?
        let diagonal: Int

        public init(dtype: DType? = nil, diagonal: Int = 0) {
            self.dtype = dtype
            self.diagonal = diagonal
        }

        public init(_ node: NodeAttributes) throws {
            dtype = try node.dtype("dtype")
            diagonal = try node.int("k", default: 0)
        }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] {
            let x = try required(inputs, 0, "input")
            guard x.shape.count == 2 else { throw failure("expected a matrix, got \(x.shape)") }
            return [ValueInfo(dtype ?? x.dtype, x.shape)]
        }

        public func forward(_ inputs: [NDArray?]) throws -> [NDArray] {
            let x = try required(inputs, 0, "input")
            guard x.rank == 2 else { throw failure("expected a matrix, got \(x.shape)") }
            return [try .eye(x.shape[0], x.shape[1], offset: diagonal, dtype: dtype ?? x.dtype)]
        }

        public static func samples() throws -> [OperatorSample] {
            let x = OperatorSample.values([2, 4])
            return [
                OperatorSample("main", Op.EyeLike(), [x], differentiable: []),
                OperatorSample("above", Op.EyeLike(dtype: .int64, diagonal: 1), [x], differentiable: []),
            ]
        }
    }
}
