import Autograd
import TensorCore

extension Op {
    /// Slices at the index tuples in the last axis of `indices`, after `batch_dims` shared axes. ONNX GatherND 11...
    public struct GatherND: CompositeOperator {
        public static let opType = "GatherND"
        public static var maximumInputs: Int { 2 }
        public static let opsets = 11...OperatorSet.newest
        let batchDims: Int

        public init(batchDims: Int = 0) { self.batchDims = batchDims }
        public init(_ node: NodeAttributes) throws { batchDims = try node.int("batch_dims", default: 0) }

        public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation {
            // Within the shared axes, data and indices go together.
            return batch.together(upTo: batchDims)
        }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] {
            let x = try required(inputs, 0, "data")
            let indices = try required(inputs, 1, "indices").shape
            guard let depth = indices.last, batchDims >= 0, batchDims < indices.count, depth >= 0,
                batchDims <= x.shape.count, depth <= x.shape.count - batchDims
            else { throw failure("indices \(indices) do not fit \(x.shape) with \(batchDims) batch axes") }
            return [ValueInfo(x.dtype, indices.dropLast() + x.shape[(batchDims + depth)...])]
        }

        public func expand(_ inputs: [Tensor?]) throws -> [Tensor] {
            let indices = try required(inputs, 1, "indices").array
            return [try required(inputs, 0, "data").mapped(TupleGather(indices: indices, batchDims: batchDims))]
        }

        public static func samples() throws -> [OperatorSample] {
            let x = OperatorSample.values([2, 3, 2])
            let pairs = NDArray([0, 1, 1, -1, 0, 1], shape: [3, 2])
            let batched = NDArray([1, 2], shape: [2, 1])
            return [
                OperatorSample("pairs", Op.GatherND(), [x, pairs], differentiable: [0]),
                OperatorSample("batch", Op.GatherND(batchDims: 1), [x, batched], differentiable: [0]),
            ]
        }
    }
}

/// Slices at index tuples.
struct TupleGather: LinearMap {
    let indices: NDArray
    let batchDims: Int
    var name: String { "Index" }

    func apply(_ x: NDArray) throws -> NDArray { try x.gatheredND(indices, batchDims: batchDims) }
    func applyAdjoint(_ gradOutput: NDArray, inputShape: [Int]) throws -> NDArray {
        try NDArray.scatterAddND(gradOutput, indices: indices, batchDims: batchDims, inputShape: inputShape)
    }
}
