import Autograd
import TensorCore

extension Op {
    /// Index of the smallest element along an axis; of equal ones the first, or the last. ONNX ArgMin 1...; `torch.argmin`.
    public struct ArgMin: Operator {
        public static let opType = "ArgMin"
        let axis: Int
        let keepDims: Bool
        let selectLast: Bool

        public init(axis: Int = 0, keepDims: Bool = true, selectLast: Bool = false) {
            self.axis = axis
            self.keepDims = keepDims
            self.selectLast = selectLast
        }

        public init(_ node: NodeAttributes) throws {
            axis = try node.int("axis", default: 0)
            keepDims = try node.bool("keepdims", default: true)
            selectLast = try node.bool("select_last_index", default: false)
        }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] {
            let shape = try required(inputs, 0, "data").shape
            return [ValueInfo(.int64, reducedShape(shape, [try axis(axis, rank: shape.count)], keepDims: keepDims))]
        }

        public func forward(_ inputs: [NDArray?]) throws -> [NDArray] {
            [try required(inputs, 0, "data").argMin(axis: axis, keepDims: keepDims, selectLast: selectLast)]
        }

        public static func samples() throws -> [OperatorSample] {
            let x = NDArray([1.0, 3, 3, 0, 0, 2], shape: [2, 3])
            return [
                OperatorSample("first", Op.ArgMin(axis: 1), [x], differentiable: []),
                OperatorSample("last", Op.ArgMin(axis: -1, keepDims: false, selectLast: true), [x], differentiable: []),
            ]
        }
    }
}

extension Tensor {
    /// Index of the smallest element along `dim`, or of all when nil; the first of equal ones. Source: `torch.argmin`.
    public func argmin(dim: Int? = nil, keepdim: Bool = false) -> Tensor {
        let x = dim == nil ? array.reshaped([count]) : array
        return Tensor(checked(try x.argMin(axis: dim ?? 0, keepDims: dim != nil && keepdim)))
    }
}
