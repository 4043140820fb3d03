import Autograd
import TensorCore

extension Op {
    /// Repeats along axes of size 1 by two-way broadcasting with `shape`. ONNX Expand 8...; `torch.broadcast_to`.
    public struct Expand: CompositeOperator {
        public static let opType = "Expand"
        public static var maximumInputs: Int { 2 }
        public static let opsets = 8...OperatorSet.newest

        public init() {}
        public init(_ node: NodeAttributes) throws {}

        private func target(_ shape: [Int], _ other: [Int]) throws -> [Int] {
            guard other.allSatisfy({ $0 >= 0 }), let result = broadcastShape(shape, other) else {
                throw failure("shape \(shape) does not broadcast with \(other)")
            }
            return result
        }

        public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation { batch.stretched() }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] {
            let x = try required(inputs, 0, "input")
            return [ValueInfo(x.dtype, try target(x.shape, constant(inputs, 1, "shape").integers()))]
        }

        public func expand(_ inputs: [Tensor?]) throws -> [Tensor] {
            let x = try required(inputs, 0, "input")
            return [try x.broadcast(to: target(x.shape, required(inputs, 1, "shape").array.integers()))]
        }

        public static func samples() throws -> [OperatorSample] {
            let x = OperatorSample.values([3, 1])
            return [
                OperatorSample("larger", Op.Expand(), [x, NDArray([2, 3, 4])], differentiable: [0]),
                OperatorSample("two-way", Op.Expand(), [x, NDArray([2, 1, 2])], differentiable: [0]),
                OperatorSample("smaller", Op.Expand(), [x, NDArray([1])], differentiable: [0]),
                OperatorSample("empty", Op.Expand(), [x, NDArray([3, 0])], differentiable: [0]),
            ]
        }
    }
}

extension Tensor {
    /// Repeats along axes of size 1 and new axes in front up to `shape`; -1 keeps an axis. Source: `Tensor.expand`.
    public func expand(_ shape: [Int]) -> Tensor {
        let added = shape.count - rank
        let target = shape.enumerated().map { index, size in
            size == -1 && index >= added ? self.shape[index - added] : size
        }
        return checked(try broadcast(to: target))
    }
    public func expand(_ shape: Int...) -> Tensor { expand(shape) }
}
