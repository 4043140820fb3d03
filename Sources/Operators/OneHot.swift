import Autograd
import TensorCore

extension Op {
    /// Along a new axis of `depth` elements, the value for "on" at each index and the one for "off" elsewhere.
    ///
    /// indices: `[d...]`, depth: one number, values: `[off, on]`; negative indices count from the end, and one beyond the axis is
    /// nowhere. ONNX OneHot 9...; `torch.nn.functional.one_hot`.
    public struct OneHot: CompositeOperator {
        public static let opType = "OneHot"
        public static var maximumInputs: Int { 3 }
        public static let opsets = 9...OperatorSet.newest
        let axis: Int

        public init(axis: Int = -1) { self.axis = axis }
        public init(_ node: NodeAttributes) throws { axis = try node.int("axis", default: -1) }

        private func outputShape(_ indices: [Int], depth: NDArray) throws -> (shape: [Int], axis: Int) {
            guard depth.count == 1, depth.item() >= 0, depth.item() <= Double(Int32.max) else {
                throw failure("expected a depth of one number, got \(depth.shape)")
            }
            let axis = try axis(axis, rank: indices.count + 1)
            return (indices[..<axis] + [Int(depth.item())] + indices[axis...], axis)
        }

        public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation {
            guard batch.hasPictures else { return .counted }
            guard let indices = batch.operand(0), let found = indices.relation.pictures, batch.areConstant(except: 0),
                let axis = try? axis(axis, rank: indices.shape.count + 1)
            else { return .mixed }
            return .images(
                PictureAxis(axis: found.axis + (axis <= found.axis ? 1 : 0), repeats: found.repeats, rows: found.rows))
        }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] {
            let indices = try required(inputs, 0, "indices").shape
            let values = try required(inputs, 2, "values")
            return [ValueInfo(values.dtype, try outputShape(indices, depth: constant(inputs, 1, "depth")).shape)]
        }

        public func expand(_ inputs: [Tensor?]) throws -> [Tensor] {
            let indices = try required(inputs, 0, "indices").array
            let values = try required(inputs, 2, "values")
            let (shape, axis) = try outputShape(indices.shape, depth: required(inputs, 1, "depth").array)
            guard values.shape == [2] else { throw failure("expected the values [off, on], got \(values.shape)") }
            try requireAllocatable(shape, values.dtype, Self.opType)
            let depth = shape[axis]
            let inner = shape[(axis + 1)...].reduce(1, *)
            var isOn = [Bool](repeating: false, count: elementCount(shape))
            for (position, value) in indices.doubles().enumerated() {
                let index = value < 0 ? value + Double(depth) : value
                guard index >= 0, index < Double(depth) else { continue }
                isOn[(position / inner * depth + Int(index)) * inner + position % inner] = true
            }
            let mask = Tensor(NDArray(isOn, shape: shape))
            let (off, on) = (try values.sliced([0], [1], [0]), try values.sliced([1], [2], [0]))
            let one = [Int](repeating: 1, count: shape.count)
            return [try apply(Op.Where(), mask, on.reshaped(one), off.reshaped(one))]
        }

        public static func samples() throws -> [OperatorSample] {
            let (indices, depth) = (NDArray([0, -1, 5, 2], shape: [2, 2]), NDArray(scalar: 3))
            let values = NDArray([-0.5, 2.0])
            return [
                OperatorSample("last axis", Op.OneHot(), [indices, depth, values], differentiable: [2]),
                OperatorSample("axis 1", Op.OneHot(axis: 1), [indices, depth, values], differentiable: [2]),
                OperatorSample(
                    "nothing", Op.OneHot(axis: 0), [NDArray([Int](), shape: [0, 2]), depth, values], differentiable: [2]
                ),
            ]
        }
    }
}
