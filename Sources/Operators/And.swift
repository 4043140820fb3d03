import Autograd
import TensorCore

extension Op {
    /// Elementwise "and" of bool operands with broadcasting. ONNX And 1...; `torch.logical_and`.
    public struct And: LogicalOperator {
        public static let opType = "And"
        let legacyAxis: Int?

        public init() { legacyAxis = nil }
        init(legacyAxis: Int?) { self.legacyAxis = legacyAxis }

        func combine(_ a: NDArray, _ b: NDArray) throws -> NDArray { try NDArray.logical(.and, a, b) }

        public static func samples() throws -> [OperatorSample] { logicalSamples() }
    }
}

extension Tensor {
    /// Elementwise "and" of bool tensors with broadcasting.
    public static func .& (a: Tensor, b: Tensor) -> Tensor { checked(try Op.And()([a, b])[0]) }
}
