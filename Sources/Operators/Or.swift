import Autograd
import TensorCore

extension Op {
    /// Elementwise "or" of bool operands with broadcasting. ONNX Or 1...; `torch.logical_or`.
    public struct Or: LogicalOperator {
        public static let opType = "Or"
        let legacyAxis: Int?

        public init() { legacyAxis = nil }
        init(legacyAxis: Int?) { self.legacyAxis = legacyAxis }

        func combine(_ a: NDArray, _ b: NDArray) throws -> NDArray { try NDArray.logical(.or, a, b) }

        public static func samples() throws -> [OperatorSample] { logicalSamples() }
    }
}

extension Tensor {
    /// Elementwise "or" of bool tensors with broadcasting.
    public static func .| (a: Tensor, b: Tensor) -> Tensor { checked(try Op.Or()([a, b])[0]) }
}
