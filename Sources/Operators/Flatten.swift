import Autograd
import TensorCore

extension Op {
    /// The elements as a matrix: the axes before `axis` are rows, the others columns. ONNX Flatten 1... (axis 1).
    public struct Flatten: CompositeOperator {
        public static let opType = "Flatten"
        public var keepsImagesApart: Bool { true }
        let axis: Int

        public init(axis: Int = 1) { self.axis = axis }
        public init(_ node: NodeAttributes) throws { self.init(axis: try node.int("axis", default: 1)) }

        private func target(_ shape: [Int]) throws -> [Int] {
            let split = axis < 0 ? axis + shape.count : axis
            guard (0...shape.count).contains(split) else { throw failure("axis \(axis) does not fit shape \(shape)") }
            return [try product(of: shape[..<split]), try product(of: shape[split...])]
        }

        public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation { batch.reshaped() }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] {
            let x = try required(inputs, 0, "input")
            return [ValueInfo(x.dtype, try target(x.shape))]
        }

        public func expand(_ inputs: [Tensor?]) throws -> [Tensor] {
            let x = try required(inputs, 0, "input")
            return [try x.reshaped(target(x.shape))]
        }

        public static func samples() throws -> [OperatorSample] {
            let x = OperatorSample.values([2, 3, 4])
            return [
                OperatorSample("default", Op.Flatten(), [x], differentiable: [0]),
                OperatorSample("axis 0", Op.Flatten(axis: 0), [x], differentiable: [0]),
                OperatorSample("axis 3", Op.Flatten(axis: 3), [x], differentiable: [0]),
                OperatorSample("negative axis", Op.Flatten(axis: -1), [x], differentiable: [0]),
                OperatorSample("empty", Op.Flatten(), [.zeros([0, 3, 2], dtype: .float64)], differentiable: [0]),
            ]
        }
    }
}

extension Tensor {
    /// The axes `startDim ... endDim` as one; negative ones count from the end. Source: `torch.flatten`.
    public func flatten(startDim: Int = 0, endDim: Int = -1) -> Tensor {
        if rank == 0 { return reshape([1]) }
        let start = startDim < 0 ? startDim + rank : startDim
        let end = endDim < 0 ? endDim + rank : endDim
        demand(start >= 0 && start <= end && end < rank, "flatten(\(startDim), \(endDim)) of shape \(shape)")
        return reshape(shape[..<start] + [shape[start...end].reduce(1, *)] + shape[(end + 1)...])
    }
}
