import Autograd
import TensorCore

extension Op {
    /// The smallest of several operands, elementwise with broadcasting. ONNX Min 1...; `torch.minimum`.
    ///
    /// Two equal elements get half of the gradient each, as in PyTorch.
    public struct Min: CompositeOperator {
        public static let opType = "Min"
        public static var maximumInputs: Int { .max }

        public init() {}
        public init(_ node: NodeAttributes) throws {}

        public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation { batch.aligned(output: output) }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] { [try variadicInfo(inputs)] }

        public func expand(_ inputs: [Tensor?]) throws -> [Tensor] {
            let first = try required(inputs, 0, "data_0")
            return [try inputs.dropFirst().compactMap { $0 }.reduce(first) { try $0.extreme($1, isLarger: false) }]
        }

        public static func samples() throws -> [OperatorSample] { extremeSamples(Self()) }
    }
}

extension Tensor {
    /// The smallest of two tensors, elementwise with broadcasting. Source: `torch.minimum`.
    public func minimum(_ other: Tensor) -> Tensor {
        let (a, b) = promoted(self, other)
        return checked(try a.extreme(b, isLarger: false))
    }
    public func minimum(_ other: some NumberOperand) -> Tensor { minimum(other.literal(beside: self)) }
}
