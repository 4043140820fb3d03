import Autograd
import TensorCore

extension Op {
    /// y[i, j, ...] = x[indices[i, j, ...], j, ...] for axis 0, and so on. ONNX GatherElements 11...; `torch.gather`.
    public struct GatherElements: CompositeOperator {
        public static let opType = "GatherElements"
        public static var maximumInputs: Int { 2 }
        public static let opsets = 11...OperatorSet.newest
        let axis: Int

        public init(axis: Int = 0) { self.axis = axis }
        public init(_ node: NodeAttributes) throws { axis = try node.int("axis", default: 0) }

        public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation {
            let shape = batch.outputs[output]
            guard let axis = try? axis(axis, rank: shape.count),
                batch.inputs.allSatisfy({ $0?.shape.count == shape.count })
            else { return batch.unknown }
            // Operands may be longer than the indices along other axes.
            return batch.aligned(touching: [axis])
        }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] {
            [ValueInfo(try required(inputs, 0, "data").dtype, try required(inputs, 1, "indices").shape)]
        }

        public func expand(_ inputs: [Tensor?]) throws -> [Tensor] {
            let x = try required(inputs, 0, "data")
            let indices = try required(inputs, 1, "indices").array
            return [try x.mapped(ElementGather(indices: indices, axis: axis(axis, rank: x.rank)))]
        }

        public static func samples() throws -> [OperatorSample] {
            let x = OperatorSample.values([3, 3])
            let indices = NDArray([0, -1, 1, 1], shape: [2, 2])
            return [
                OperatorSample("axis 0", Op.GatherElements(), [x, indices], differentiable: [0]),
                OperatorSample("last axis", Op.GatherElements(axis: -1), [x, indices], differentiable: [0]),
                OperatorSample("rows", Op.GatherElements(axis: 1), [x.rows(0..<2), indices], differentiable: [0]),
            ]
        }
    }
}

/// Elements at `indices` along `axis`, the other axes in step.
struct ElementGather: LinearMap {
    let indices: NDArray
    let axis: Int
    var name: String { "Gather" }

    func apply(_ x: NDArray) throws -> NDArray { try x.gatherElements(indices, axis: axis) }
    func applyAdjoint(_ gradOutput: NDArray, inputShape: [Int]) throws -> NDArray {
        try NDArray.scatterElementsAdd(gradOutput, indices: indices, axis: axis, inputShape: inputShape)
    }
}

extension Tensor {
    /// Elements at `indices` along `dim`, the other axes in step. Source: `torch.gather`.
    public func gather(_ dim: Int, _ indices: Tensor) -> Tensor {
        checked(try mapped(ElementGather(indices: indices.array, axis: normalized([dim], "gather")[0])))
    }
}
