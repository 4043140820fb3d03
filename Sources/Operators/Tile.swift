import Autograd
import TensorCore

extension Op {
    /// The input repeated `repeats[i]` times along axis i. ONNX Tile 6...; `torch.tile`.
    public struct Tile: CompositeOperator {
        public static let opType = "Tile"
        public static var maximumInputs: Int { 2 }
        public static let opsets = 6...OperatorSet.newest

        public init() {}
        public init(_ node: NodeAttributes) throws {}

        private func checked(_ repeats: [Int], rank: Int) throws -> [Int] {
            // Far from overflow; what is left of the size is checked where the array is made.
            guard repeats.count == rank, repeats.allSatisfy({ $0 >= 0 && $0 < 1 << 24 }) else {
                throw failure("expected \(rank) repeats that are neither negative nor huge, got \(repeats)")
            }
            return repeats
        }

        public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation { batch.stretched() }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] {
            let x = try required(inputs, 0, "input")
            let repeats = try checked(constant(inputs, 1, "repeats").integers(), rank: x.shape.count)
            return [ValueInfo(x.dtype, try zip(x.shape, repeats).map { try product(of: [$0, $1]) })]
        }

        public func expand(_ inputs: [Tensor?]) throws -> [Tensor] {
            let x = try required(inputs, 0, "input")
            let repeats = try checked(required(inputs, 1, "repeats").array.integers(), rank: x.rank)
            // An axis of size 1 before each axis, stretched, then merged with it.
            let apart = try x.reshaped(x.shape.flatMap { [1, $0] })
            let stretched = try apart.broadcast(to: zip(repeats, x.shape).flatMap { [$0, $1] })
            return [try stretched.reshaped(zip(x.shape, repeats).map { try product(of: [$0, $1]) })]
        }

        public static func samples() throws -> [OperatorSample] {
            let x = OperatorSample.values([2, 3])
            return [
                OperatorSample("both axes", Op.Tile(), [x, NDArray([2, 3])], differentiable: [0]),
                OperatorSample("none", Op.Tile(), [x, NDArray([1, 0])], differentiable: [0]),
            ]
        }
    }
}

extension Tensor {
    /// Repeats the tensor `repeats[i]` times along axis i, new axes in front included. Source: `Tensor.repeat`.
    public func `repeat`(_ repeats: Int...) -> Tensor {
        demand(repeats.count >= rank, "repeat: expected at least \(rank) numbers, got \(repeats)")
        let shape = [Int](repeating: 1, count: repeats.count - rank) + self.shape
        return checkedTile(reshape(shape), repeats)
    }
}

private func checkedTile(_ x: Tensor, _ repeats: [Int]) -> Tensor {
    checked(try Op.Tile()([x, Tensor(NDArray(repeats))])[0])
}
