import Autograd
import TensorCore

extension Op {
    /// Adds axes of size 1 at places of the result. ONNX Unsqueeze 1... (axes an input since 13); `torch.unsqueeze`.
    public struct Unsqueeze: CompositeOperator {
        public static let opType = "Unsqueeze"
        public static var maximumInputs: Int { 2 }
        let axes: [Int]?

        public init(axes: [Int]? = nil) { self.axes = axes }
        public init(_ node: NodeAttributes) throws { axes = try node.ints("axes") }

        private func target(_ shape: [Int], _ given: NDArray?) throws -> [Int] {
            guard let axes = given?.integers() ?? axes else { throw failure("input 'axes' is missing") }
            let rank = shape.count + axes.count
            let added = Set(try axes.map { try axis($0, rank: rank) })
            guard added.count == axes.count else { throw failure("axes \(axes) name an axis twice") }
            var rest = shape.makeIterator()
            return (0..<rank).map { added.contains($0) ? 1 : rest.next() ?? 1 }
        }

        public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation { batch.reshaped() }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] {
            let x = try required(inputs, 0, "data")
            let given = try optional(inputs, 1) == nil ? nil : constant(inputs, 1, "axes")
            return [ValueInfo(x.dtype, try target(x.shape, given))]
        }

        public func expand(_ inputs: [Tensor?]) throws -> [Tensor] {
            let x = try required(inputs, 0, "data")
            return [try x.reshaped(target(x.shape, optional(inputs, 1)?.array), as: "Unsqueeze")]
        }

        public static func samples() throws -> [OperatorSample] {
            let x = OperatorSample.values([3, 2])
            return [
                OperatorSample("attribute", Op.Unsqueeze(axes: [0, -1]), [x], differentiable: [0]),
                OperatorSample("input", Op.Unsqueeze(), [x, NDArray([1])], differentiable: [0]),
                OperatorSample("scalar", Op.Unsqueeze(axes: [0]), [NDArray(scalar: 2.0)], differentiable: [0]),
            ]
        }
    }
}

extension Tensor {
    /// Adds an axis of size 1 before axis `dim` of the result. Source: `torch.unsqueeze`.
    public func unsqueeze(_ dim: Int) -> Tensor {
        guard let axis = normalizedAxis(dim, rank: rank + 1) else {
            mistake("unsqueeze: dim \(dim) is outside of \(-rank - 1)...\(rank)")
        }
        var target = shape
        target.insert(1, at: axis)
        return checked(try reshaped(target, as: "Unsqueeze"))
    }
}
