import Autograd
import TensorCore

extension Op {
    /// The part of each matrix on and above (or below) diagonal k, zeros elsewhere. ONNX Trilu 14...; `torch.triu`, `tril`.
    public struct Trilu: CompositeOperator {
        public static let opType = "Trilu"
        public static var maximumInputs: Int { 2 }
        public static let opsets = 14...OperatorSet.newest
        let isUpper: Bool

        public init(upper: Bool = true) { isUpper = upper }
        public init(_ node: NodeAttributes) throws { isUpper = try node.bool("upper", default: true) }

        public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation {
            let rank = batch.outputs[output].count
            return batch.along(touching: [rank - 2, rank - 1])
        }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] {
            let x = try required(inputs, 0, "input")
            guard x.shape.count >= 2 else { throw failure("expected matrices, got \(x.shape)") }
            return [ValueInfo(x.dtype, x.shape)]
        }

        public func expand(_ inputs: [Tensor?]) throws -> [Tensor] {
            let x = try required(inputs, 0, "input")
            return [try triangle(of: x, diagonal: optional(inputs, 1).map { try integer($0.array, "k") } ?? 0)]
        }

        func triangle(of x: Tensor, diagonal: Int) throws -> Tensor {
            guard x.rank >= 2 else { throw failure("expected matrices, got \(x.shape)") }
            if x.count == 0 { return x }
            let (rows, columns) = (x.shape[x.rank - 2], x.shape[x.rank - 1])
            let mask = (0..<rows).flatMap { row in
                // Differences of the positions: k itself may be any number.
                (0..<columns).map { column in isUpper ? column - row >= diagonal : column - row <= diagonal }
            }
            let zero = Tensor.literal(0, dtype: x.dtype)
            return try apply(Op.Where(), Tensor(NDArray(mask, shape: [rows, columns])), x, zero)
        }

        public static func samples() throws -> [OperatorSample] {
            let x = OperatorSample.values([2, 3, 3])
            return [
                OperatorSample("upper", Op.Trilu(), [x], differentiable: [0]),
                OperatorSample("lower", Op.Trilu(upper: false), [x, NDArray(scalar: -1)], differentiable: [0]),
            ]
        }
    }
}

extension Tensor {
    /// The part of each matrix on and above `diagonal`. Source: `torch.triu`.
    public func triu(_ diagonal: Int = 0) -> Tensor { checked(try Op.Trilu().triangle(of: self, diagonal: diagonal)) }

    /// The part of each matrix on and below `diagonal`. Source: `torch.tril`.
    public func tril(_ diagonal: Int = 0) -> Tensor {
        checked(try Op.Trilu(upper: false).triangle(of: self, diagonal: diagonal))
    }
}
