import Autograd
import TensorCore

extension Op {
    /// Elementwise mean of any number of operands, with broadcasting. ONNX Mean 1... (broadcasting since 8).
    public struct Mean: CompositeOperator {
        public static let opType = "Mean"
        public static var maximumInputs: Int { .max }

        public init() {}
        public init(_ node: NodeAttributes) throws {}

        public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation { batch.aligned(output: output) }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] { try commonInfo(inputs) }

        public func expand(_ inputs: [Tensor?]) throws -> [Tensor] {
            let sum = try Op.Sum()(inputs)[0]
            if inputs.count == 1 { return [sum] }
            return [try apply(Op.Mul(), sum, .literal(1 / Double(inputs.count), dtype: sum.dtype))]
        }

        public static func samples() throws -> [OperatorSample] { variadicSamples(Op.Mean()) }
    }
}
