import Autograd
import TensorCore

extension Op {
    /// Elementwise sum of any number of operands, with broadcasting. ONNX Sum 1... (broadcasting since 8).
    public struct Sum: PrimitiveOperator {
        public static let opType = "Sum"
        public var keepsImagesApart: Bool { true }
        public static var maximumInputs: Int { .max }
        public var name: String { "Add" }

        public init() {}
        public init(_ node: NodeAttributes) throws {}

        public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation { batch.aligned(output: output) }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] { try commonInfo(inputs) }

        public func forward(_ inputs: [NDArray?]) throws -> [NDArray] {
            let first = try required(inputs, 0, "data_0")
            return [
                try inputs.indices.dropFirst().reduce(first) { sum, index in
                    try NDArray.binary(.add, sum, required(inputs, index, "data_\(index)"))
                }
            ]
        }

        public func saved(for needs: IndexSet64) -> SavedValues { .none }

        public func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
            try (0..<context.inputCount).map { index in
                context.needs(index) ? try gradOutputs[0]?.summed(to: context.inputShape(index)) : nil
            }
        }

        public static func samples() throws -> [OperatorSample] { variadicSamples(Op.Sum()) }
    }
}

extension Operator {
    /// The shape rule of `Sum`, `Mean`, ...: operands of one type, broadcast together.
    func commonInfo(_ inputs: [ValueInfo?]) throws -> [ValueInfo] {
        var common = try required(inputs, 0, "data_0")
        common.value = nil
        for index in inputs.indices {
            let operand = try required(inputs, index, "data_\(index)")
            guard operand.dtype == common.dtype, let shape = broadcastShape(common.shape, operand.shape) else {
                throw failure(
                    "\(common.dtype) \(common.shape) and \(operand.dtype) \(operand.shape) do not broadcast")
            }
            common.shape = shape
        }
        return [common]
    }

    /// One, two and three operands, equal shapes and broadcast ones.
    static func variadicSamples(_ op: Self) -> [OperatorSample] {
        func sample(_ name: String, _ shapes: [Int]...) -> OperatorSample {
            let inputs = shapes.enumerated().map { OperatorSample.values($1, seed: $0) }
            return OperatorSample(name, op, inputs, differentiable: Array(inputs.indices))
        }
        return [
            sample("one", [2, 3]), sample("three", [2, 3], [2, 3], [2, 3]),
            sample("broadcast", [2, 1], [3], [2, 3]), sample("empty", [0, 2], [2]),
        ]
    }
}
