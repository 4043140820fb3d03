import Autograd
import TensorCore

extension Op {
    /// Drops axes of size 1: the given ones, or all. ONNX Squeeze 1... (axes an input since 13); `torch.squeeze`.
    public struct Squeeze: CompositeOperator {
        public static let opType = "Squeeze"
        public static var maximumInputs: Int { 2 }
        let axes: [Int]?

        public init(axes: [Int]? = nil) { self.axes = axes }
        public init(_ node: NodeAttributes) throws { axes = try node.ints("axes") }

        private func target(_ shape: [Int], _ given: NDArray?) throws -> [Int] {
            guard let axes = given?.integers() ?? axes else { return shape.filter { $0 != 1 } }
            let dropped = try axes.map { try axis($0, rank: shape.count) }
            for index in dropped where shape[index] != 1 {
                throw failure("axis \(index) of \(shape) has \(shape[index]) elements, expected 1")
            }
            return shape.indices.filter { !dropped.contains($0) }.map { shape[$0] }
        }

        public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation { batch.reshaped() }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] {
            let x = try required(inputs, 0, "data")
            let given = try optional(inputs, 1) == nil ? nil : constant(inputs, 1, "axes")
            return [ValueInfo(x.dtype, try target(x.shape, given))]
        }

        public func expand(_ inputs: [Tensor?]) throws -> [Tensor] {
            let x = try required(inputs, 0, "data")
            return [try x.reshaped(target(x.shape, optional(inputs, 1)?.array), as: "Squeeze")]
        }

        public static func samples() throws -> [OperatorSample] {
            let x = OperatorSample.values([1, 3, 1, 2])
            return [
                OperatorSample("all", Op.Squeeze(), [x], differentiable: [0]),
                OperatorSample("attribute", Op.Squeeze(axes: [-2]), [x], differentiable: [0]),
                OperatorSample("input", Op.Squeeze(), [x, NDArray([0, 2])], differentiable: [0]),
            ]
        }
    }
}

extension Tensor {
    /// Drops every axis of size 1. Source: `torch.squeeze`.
    public func squeeze() -> Tensor { checked(try reshaped(shape.filter { $0 != 1 }, as: "Squeeze")) }

    /// Drops axis `dim` if its size is 1. Source: `torch.squeeze`.
    public func squeeze(_ dim: Int) -> Tensor {
        func squeezed() throws -> Tensor {
            let axis = try normalized([dim], "squeeze")[0]
            var target = shape
            if target[axis] == 1 { target.remove(at: axis) }
            return try reshaped(target, as: "Squeeze")
        }
        return checked(try squeezed())
    }
}
