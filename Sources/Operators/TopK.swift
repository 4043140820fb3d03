import Autograd
import TensorCore

extension Op {
    /// The k largest (or smallest) elements along an axis and their indices, in order; of equal ones the first comes first, and
    /// NaN is the largest.
    ///
    /// k is an attribute before operator set 10, an input since. ONNX TopK 1...; `torch.topk`.
    public struct TopK: CompositeOperator {
        public static let opType = "TopK"
        public static var maximumInputs: Int { 2 }
        public static var maximumOutputs: Int { 2 }
        let axis: Int
        let isLargest: Bool
        let k: Int?

        public init(axis: Int = -1, largest: Bool = true, k: Int? = nil) {
            self.axis = axis
            self.isLargest = largest
            self.k = k
        }

        public init(_ node: NodeAttributes) throws {
            axis = try node.int("axis", default: -1)
            isLargest = try node.bool("largest", default: true)
            k = node.opset < 10 ? try node.int("k") : nil
        }

        private func count(_ given: NDArray?, size: Int) throws -> Int {
            guard let k = try given.map({ try integer($0, "K") }) ?? k else { throw failure("input 'K' is missing") }
            guard k >= 0, k <= size else { throw failure("\(k) elements of an axis of \(size)") }
            return k
        }

        public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation {
            guard let axis = try? axis(axis, rank: batch.outputs[output].count) else { return batch.unknown }
            return batch.along(touching: [axis], output: output)
        }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] {
            let x = try required(inputs, 0, "X")
            let axis = try axis(axis, rank: x.shape.count)
            var shape = x.shape
            shape[axis] = try count(k == nil ? constant(inputs, 1, "K") : nil, size: shape[axis])
            return [ValueInfo(x.dtype, shape), ValueInfo(.int64, shape)]
        }

        public func expand(_ inputs: [Tensor?]) throws -> [Tensor] {
            let x = try required(inputs, 0, "X")
            let axis = try axis(axis, rank: x.rank)
            let count = try count(optional(inputs, 1)?.array, size: x.shape[axis])
            let indices = try x.array.ordered(axis: axis, count: count, largestFirst: isLargest)
            return [try x.mapped(ElementGather(indices: indices, axis: axis)), Tensor(indices)]
        }

        public static func samples() throws -> [OperatorSample] {
            let x = OperatorSample.values([3, 4])
            return [
                OperatorSample("largest", Op.TopK(), [x, NDArray([2])], differentiable: [0]),
                OperatorSample("smallest", Op.TopK(axis: 0, largest: false), [x, NDArray([3])], differentiable: [0]),
                OperatorSample("ties", Op.TopK(k: 2), [NDArray([1.0, 3, 3, 2])], differentiable: []),
            ]
        }
    }
}

extension Tensor {
    /// The `k` largest (or smallest) elements along `dim` and their indices, in order. Source: `torch.topk`.
    public func topk(_ k: Int, dim: Int = -1, largest: Bool = true) -> (values: Tensor, indices: Tensor) {
        let results = checked(try Op.TopK(axis: dim, largest: largest, k: k)([self]))
        return (results[0], results[1])
    }
}
