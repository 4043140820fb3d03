import Autograd
import TensorCore

extension Op {
    /// The data with slices of updates at the index tuples in the last axis of `indices`, put in place of what is there or
    /// combined with it by `reduction`.
    ///
    /// data: `[d...]`, indices: `[i..., k]`, updates: `[i..., d[k...]]`. Updates of one place follow each other in their order:
    /// without a reduction the last wins. ONNX ScatterND 11...; `Tensor.index_put`.
    public struct ScatterND: CompositeOperator {
        public static let opType = "ScatterND"
        public static var maximumInputs: Int { 3 }
        public static let opsets = 11...OperatorSet.newest
        let reduction: ScatterReduction

        public init(reduction: ScatterReduction = .none) { self.reduction = reduction }
        public init(_ node: NodeAttributes) throws { reduction = try ScatterReduction(node) }

        public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation {
            guard let x = batch.operand(0), let indices = batch.operand(1), let updates = batch.operand(2),
                indices.relation == .constant, let depth = indices.shape.last
            else { return batch.unknown }
            // Axes behind those that the indices name go together.
            let shift = indices.shape.count - 1 - depth
            let moved = updates.relation.pictures.map {
                PictureAxis(axis: $0.axis - shift, repeats: $0.repeats, rows: $0.rows)
            }
            guard let found = x.relation.pictures ?? moved, found.axis >= depth, moved ?? found == found else {
                return batch.unknown
            }
            let own = PictureAxis(axis: found.axis + shift, repeats: found.repeats, rows: found.rows)
            let isSame =
                (x.relation.pictures != nil || batch.isUniform(x, along: found))
                && (moved != nil || batch.isUniform(updates, along: own))
            return isSame ? .images(found) : .mixed
        }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] {
            let x = try required(inputs, 0, "data")
            let indices = try required(inputs, 1, "indices").shape
            let updates = try required(inputs, 2, "updates")
            guard let depth = indices.last, depth > 0, depth <= x.shape.count,
                updates.shape == indices.dropLast() + x.shape[depth...], updates.dtype == x.dtype
            else {
                throw failure(
                    "indices \(indices) and updates \(updates.shape) of \(updates.dtype) do not fit data \(x.shape) of "
                        + "\(x.dtype)")
            }
            return [ValueInfo(x.dtype, x.shape)]
        }

        public func expand(_ inputs: [Tensor?]) throws -> [Tensor] {
            let (x, updates) = (try required(inputs, 0, "data"), try required(inputs, 2, "updates"))
            let gather = TupleGather(indices: try required(inputs, 1, "indices").array, batchDims: 0)
            return [try x.scattering(updates, at: gather, reduction)]
        }

        public static func samples() throws -> [OperatorSample] {
            let x = OperatorSample.values([3, 2, 2])
            let slices = OperatorSample.values([2, 2, 2], in: 0.5...2, seed: 1)
            let elements = OperatorSample.values([3], in: 0.5...2, seed: 2)
            let rows = NDArray([2, 0], shape: [2, 1])
            let repeated = NDArray([1, 1], shape: [2, 1])
            let places = NDArray([0, 1, -1, 2, 0, 0, 0, 1, 1], shape: [3, 3])
            return [
                OperatorSample("rows", Op.ScatterND(), [x, rows, slices], differentiable: [0, 2]),
                OperatorSample("elements", Op.ScatterND(), [x, places, elements], differentiable: [0, 2]),
                OperatorSample(
                    "nothing", Op.ScatterND(),
                    [x, NDArray([Int](), shape: [0, 1]), .zeros([0, 2, 2], dtype: .float64)], differentiable: [0]),
            ]
                + ScatterReduction.allCases.dropFirst().map {
                    OperatorSample(
                        "\($0)", Op.ScatterND(reduction: $0), [x, repeated, slices], differentiable: [0, 2])
                }
        }
    }
}

extension TupleGather: ScatterableMap {
    func scatter(_ updates: NDArray, into x: NDArray) throws -> NDArray {
        try x.scatteredND(indices, updates: updates)
    }
}
