import Autograd
import TensorCore

extension Op {
    /// Elementwise a > b with broadcasting, as bool; false beside NaN. ONNX Greater 1...; `torch.gt`.
    public struct Greater: ComparisonOperator {
        public static let opType = "Greater"
        static let comparison = Comparison.greater
        let legacyAxis: Int?

        public init() { legacyAxis = nil }
        init(legacyAxis: Int?) { self.legacyAxis = legacyAxis }

        public static func samples() throws -> [OperatorSample] { try comparisonSamples() }
    }
}

extension Tensor {
    /// Elementwise a > b with broadcasting, as bool. Source: `torch.gt`.
    public static func .> (a: Tensor, b: Tensor) -> Tensor {
        let (a, b) = promoted(a, b)
        return checked(try Op.Greater()([a, b])[0])
    }
    public static func .> (a: Tensor, b: some NumberOperand) -> Tensor { a .> b.literal(beside: a) }
    public static func .> (a: some NumberOperand, b: Tensor) -> Tensor { a.literal(beside: b) .> b }
}
