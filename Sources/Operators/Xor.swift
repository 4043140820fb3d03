import Autograd
import TensorCore

extension Op {
    /// Elementwise "either, not both" of bool operands with broadcasting. ONNX Xor 1...; `torch.logical_xor`.
    public struct Xor: LogicalOperator {
        public static let opType = "Xor"
        let legacyAxis: Int?

        public init() { legacyAxis = nil }
        init(legacyAxis: Int?) { self.legacyAxis = legacyAxis }

        func combine(_ a: NDArray, _ b: NDArray) throws -> NDArray { try NDArray.logical(.xor, a, b) }

        public static func samples() throws -> [OperatorSample] { logicalSamples() }
    }
}

extension Tensor {
    /// Elementwise "either, not both" of bool tensors with broadcasting.
    public static func .^ (a: Tensor, b: Tensor) -> Tensor { checked(try Op.Xor()([a, b])[0]) }
}
