import Autograd
import TensorCore

extension Op {
    /// The data with updates at indices along an axis, put in place of the element or combined with it by `reduction`.
    ///
    /// Updates of one place follow each other in their order: without a reduction the last wins. ONNX ScatterElements 11...;
    /// `Tensor.scatter`, `Tensor.scatter_add`, `Tensor.scatter_reduce`.
    public struct ScatterElements: CompositeOperator {
        public static let opType = "ScatterElements"
        public static var maximumInputs: Int { 3 }
        public static let opsets = 11...OperatorSet.newest
        let axis: Int
        let reduction: ScatterReduction

        public init(axis: Int = 0, reduction: ScatterReduction = .none) {
            self.axis = axis
            self.reduction = reduction
        }

        public init(_ node: NodeAttributes) throws {
            axis = try node.int("axis", default: 0)
            reduction = try ScatterReduction(node)
        }

        public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation {
            let shape = batch.outputs[output]
            guard let axis = try? axis(axis, rank: shape.count),
                batch.inputs.allSatisfy({ $0?.shape.count == shape.count })
            else { return batch.unknown }
            // Operands may be longer than the indices along other axes.
            return batch.aligned(touching: [axis])
        }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] {
            let x = try required(inputs, 0, "data")
            return [ValueInfo(x.dtype, x.shape)]
        }

        public func expand(_ inputs: [Tensor?]) throws -> [Tensor] {
            let (x, updates) = (try required(inputs, 0, "data"), try required(inputs, 2, "updates"))
            let gather = ElementGather(
                indices: try required(inputs, 1, "indices").array, axis: try axis(axis, rank: x.rank))
            return [try x.scattering(updates, at: gather, reduction)]
        }

        public static func samples() throws -> [OperatorSample] {
            let (x, updates) = (OperatorSample.values([3, 3]), OperatorSample.values([2, 2], seed: 1))
            let indices = NDArray([0, -1, 1, 0], shape: [2, 2])
            let repeated = NDArray([0, -1, 0, 2], shape: [2, 2])
            return [
                OperatorSample("axis 0", Op.ScatterElements(), [x, indices, updates], differentiable: [0, 2]),
                OperatorSample("last wins", Op.ScatterElements(), [x, repeated, updates], differentiable: [0, 2]),
                OperatorSample(
                    "last axis", Op.ScatterElements(axis: -1), [x, indices, updates], differentiable: [0, 2]),
                OperatorSample(
                    "rows", Op.ScatterElements(axis: 1), [x.rows(0..<2), indices, updates], differentiable: [0, 2]),
            ]
                + ScatterReduction.allCases.dropFirst().map {
                    OperatorSample(
                        "\($0)", Op.ScatterElements(reduction: $0), [x, repeated, updates], differentiable: [0, 2])
                }
        }
    }
}

extension ElementGather: ScatterableMap {
    func scatter(_ updates: NDArray, into x: NDArray) throws -> NDArray {
        try x.scatteredElements(indices, updates: updates, axis: axis)
    }
}

extension Tensor {
    /// This tensor with the elements of `source` at `indices` along `dim`. Source: `Tensor.scatter`.
    public func scatter(_ dim: Int, _ indices: Tensor, _ source: Tensor) -> Tensor {
        checked(try Op.ScatterElements(axis: dim)([self, indices, source])[0])
    }
}
