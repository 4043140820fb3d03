import TensorCore

extension Op {
    /// The number of elements as an `int64` scalar. ONNX Size 1...; `torch.numel`.
    public struct Size: Operator {
        public static let opType = "Size"
        public static var readsShapesOnly: Bool { true }

        public init() {}
        public init(_ node: NodeAttributes) throws {}

        public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation { .counted }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] {
            [ValueInfo(NDArray(scalar: try product(of: required(inputs, 0, "data").shape)))]
        }

        public func forward(_ inputs: [NDArray?]) throws -> [NDArray] {
            [NDArray(scalar: try required(inputs, 0, "data").count)]
        }

        public static func samples() throws -> [OperatorSample] {
            [OperatorSample("matrix", Op.Size(), [OperatorSample.values([2, 3])], differentiable: [])]
        }
    }
}
