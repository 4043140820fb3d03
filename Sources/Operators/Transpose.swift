import Autograd
import TensorCore

extension Op {
    /// Axes in another order: the result's axis i is the input's axis perm[i], reversed by default.
    ///
    /// ONNX Transpose 1...; `torch.permute`.
    public struct Transpose: CompositeOperator {
        public static let opType = "Transpose"
        let permutation: [Int]?

        public init(permutation: [Int]? = nil) { self.permutation = permutation }
        public init(_ node: NodeAttributes) throws { permutation = try node.ints("perm") }

        private func resolved(rank: Int) throws -> [Int] {
            guard let permutation else { return (0..<rank).reversed() }
            let result = try permutation.map { try axis($0, rank: rank) }
            guard result.sorted() == Array(0..<rank) else {
                throw failure("\(permutation) does not permute \(rank) axes")
            }
            return result
        }

        public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation {
            guard batch.hasPictures else { return .counted }
            guard let x = batch.operand(0), let found = x.relation.pictures,
                let order = try? resolved(rank: x.shape.count),
                let axis = order.firstIndex(of: found.axis)
            else { return .mixed }
            return .images(found.moved(to: axis))
        }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] {
            let x = try required(inputs, 0, "data")
            return [ValueInfo(x.dtype, try resolved(rank: x.shape.count).map { x.shape[$0] })]
        }

        public func expand(_ inputs: [Tensor?]) throws -> [Tensor] {
            let x = try required(inputs, 0, "data")
            return [try x.permuted(resolved(rank: x.rank))]
        }

        public static func samples() throws -> [OperatorSample] {
            let x = OperatorSample.values([2, 3, 4])
            return [
                OperatorSample("reversed", Op.Transpose(), [x], differentiable: [0]),
                OperatorSample("permuted", Op.Transpose(permutation: [1, 2, 0]), [x], differentiable: [0]),
                OperatorSample("scalar", Op.Transpose(), [NDArray(scalar: 2.0)], differentiable: [0]),
                OperatorSample("empty", Op.Transpose(), [.zeros([0, 3], dtype: .float64)], differentiable: [0]),
            ]
        }
    }
}

/// Axes in the order `permutation`.
private struct Permutation: LinearMap {
    let permutation: [Int]
    var name = "Permute"

    func apply(_ x: NDArray) throws -> NDArray { try x.transposed(permutation) }
    func applyAdjoint(_ gradOutput: NDArray, inputShape: [Int]) throws -> NDArray {
        var inverse = permutation
        for (to, from) in permutation.enumerated() { inverse[from] = to }
        return try gradOutput.transposed(inverse)
    }
}

extension Tensor {
    func permuted(_ permutation: [Int], as name: String = "Permute") throws -> Tensor {
        try mapped(Permutation(permutation: permutation, name: name))
    }

    /// Axes in another order; negative ones count from the end. Source: `torch.permute`.
    public func permute(_ dims: [Int]) -> Tensor {
        checked(try Op.Transpose(permutation: dims)([self])[0])
    }
    public func permute(_ dims: Int...) -> Tensor { permute(dims) }

    /// Swaps two axes. Source: `torch.transpose`.
    public func transpose(_ dim0: Int, _ dim1: Int) -> Tensor {
        func swapped() throws -> Tensor {
            var order = Array(0..<rank)
            guard let a = normalizedAxis(dim0, rank: rank), let b = normalizedAxis(dim1, rank: rank) else {
                throw ShapeError("transpose", "dims \(dim0), \(dim1) are outside of \(-rank)..<\(rank)")
            }
            order.swapAt(a, b)
            return try permuted(order, as: "Transpose")
        }
        return checked(try swapped())
    }

    /// The transpose of a matrix; vectors and scalars are returned as they are. Source: `torch.t`.
    public func t() -> Tensor {
        demand(rank <= 2, "t: expected at most 2 axes, shape is \(shape)")
        return rank < 2 ? self : checked(try permuted([1, 0], as: "T"))
    }
}
