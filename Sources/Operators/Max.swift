import Autograd
import TensorCore

extension Op {
    /// The largest of several operands, elementwise with broadcasting. ONNX Max 1...; `torch.maximum`.
    ///
    /// Two equal elements get half of the gradient each, as in PyTorch.
    public struct Max: CompositeOperator {
        public static let opType = "Max"
        public static var maximumInputs: Int { .max }

        public init() {}
        public init(_ node: NodeAttributes) throws {}

        public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation { batch.aligned(output: output) }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] { [try variadicInfo(inputs)] }

        public func expand(_ inputs: [Tensor?]) throws -> [Tensor] {
            let first = try required(inputs, 0, "data_0")
            return [try inputs.dropFirst().compactMap { $0 }.reduce(first) { try $0.extreme($1, isLarger: true) }]
        }

        public static func samples() throws -> [OperatorSample] { extremeSamples(Self()) }
    }
}

extension Tensor {
    /// The largest of two tensors, elementwise with broadcasting. Source: `torch.maximum`.
    public func maximum(_ other: Tensor) -> Tensor {
        let (a, b) = promoted(self, other)
        return checked(try a.extreme(b, isLarger: true))
    }
    public func maximum(_ other: some NumberOperand) -> Tensor { maximum(other.literal(beside: self)) }
}
