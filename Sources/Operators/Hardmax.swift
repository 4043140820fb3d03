import TensorCore

extension Op {
    /// 1 at the first of the largest elements along an axis, 0 elsewhere. ONNX Hardmax 1...
    ///
    /// The axis is by default the last one. Before operator set 13 it is 1 by default, and the axes behind it belong to it.
    public struct Hardmax: Operator {
        public static let opType = "Hardmax"
        private let axis: SoftmaxAxis

        public init(axis: Int = -1) { self.axis = SoftmaxAxis(axis: axis) }
        public init(_ node: NodeAttributes) throws { axis = try SoftmaxAxis(node) }

        public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation {
            batch.along(touching: axis.touched(rank: batch.operand(0)?.shape.count ?? 0))
        }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] {
            let x = try required(inputs, 0, "input")
            _ = try axis.split(x.shape, Self.opType)
            return [ValueInfo(x.dtype, x.shape)]
        }

        public func forward(_ inputs: [NDArray?]) throws -> [NDArray] {
            let x = try required(inputs, 0, "input")
            let zeros = NDArray.zeros(x.shape, dtype: x.dtype)
            if x.count == 0 { return [zeros] }
            let (shape, axis) = try axis.split(x.shape, Self.opType)
            let indices = try x.reshaped(shape).argMax(axis: axis, keepDims: true)
            let ones = NDArray.ones(indices.shape, dtype: x.dtype)
            return [try zeros.reshaped(shape).scatteredElements(indices, updates: ones, axis: axis).reshaped(x.shape)]
        }

        public static func samples() throws -> [OperatorSample] {
            let x = NDArray([1.0, 3, 3, 0, 0, 2, 5, 1], shape: [2, 2, 2])
            return [
                OperatorSample("last", Op.Hardmax(), [x], differentiable: []),
                OperatorSample("channels", Op.Hardmax(axis: 1), [x], differentiable: []),
                OperatorSample(
                    "opset 11", try Op.Hardmax(NodeAttributes(opType: opType, opset: 11)), [x], differentiable: []),
                OperatorSample("empty", Op.Hardmax(), [.zeros([0, 3], dtype: .float64)], differentiable: []),
            ]
        }
    }
}
