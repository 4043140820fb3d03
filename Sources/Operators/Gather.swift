import Autograd
import TensorCore

extension Op {
    /// Slices at indices along an axis; negative indices count from the end. ONNX Gather 1...; `torch.index_select`.
    public struct Gather: CompositeOperator {
        public static let opType = "Gather"
        public static var maximumInputs: Int { 2 }
        let axis: Int

        public init(axis: Int = 0) { self.axis = axis }
        public init(_ node: NodeAttributes) throws { axis = try node.int("axis", default: 0) }

        public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation {
            guard let axis = try? axis(axis, rank: batch.operand(0)?.shape.count ?? 0) else { return batch.unknown }
            return batch.gathered(axis: axis)
        }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] {
            let x = try required(inputs, 0, "data")
            let indices = try required(inputs, 1, "indices")
            let axis = try axis(axis, rank: x.shape.count)
            return [ValueInfo(x.dtype, x.shape[..<axis] + indices.shape + x.shape[(axis + 1)...])]
        }

        public func expand(_ inputs: [Tensor?]) throws -> [Tensor] {
            let x = try required(inputs, 0, "data")
            let indices = try required(inputs, 1, "indices").array
            return [try x.mapped(SliceGather(indices: indices, axis: axis(axis, rank: x.rank)))]
        }

        public static func samples() throws -> [OperatorSample] {
            let x = OperatorSample.values([3, 4])
            let grid = NDArray([0, 2, 2, -1], shape: [2, 2])
            return [
                OperatorSample("rows", Op.Gather(), [x, grid], differentiable: [0]),
                OperatorSample("columns", Op.Gather(axis: -1), [x, NDArray([3, -4, 3])], differentiable: [0]),
                OperatorSample("one", Op.Gather(axis: 1), [x, NDArray(scalar: 2)], differentiable: [0]),
                OperatorSample("none", Op.Gather(), [x, NDArray([Int]())], differentiable: [0]),
            ]
        }
    }
}

/// Slices at `indices` along `axis`.
struct SliceGather: LinearMap {
    let indices: NDArray
    let axis: Int
    var name: String { "IndexSelect" }

    func apply(_ x: NDArray) throws -> NDArray { try x.gathered(indices, axis: axis) }
    func applyAdjoint(_ gradOutput: NDArray, inputShape: [Int]) throws -> NDArray {
        try NDArray.scatterAdd(gradOutput, indices: indices, axis: axis, inputShape: inputShape)
    }
}

extension Tensor {
    /// Slices at `indices`, a vector of integers, along `dim`. Source: `torch.index_select`.
    public func indexSelect(_ dim: Int, _ indices: Tensor) -> Tensor {
        checked(try mapped(SliceGather(indices: indices.array, axis: normalized([dim], "indexSelect")[0])))
    }
}
