import Autograd
import TensorCore

extension Op {
    /// Elementwise a ≤ b with broadcasting, as bool; false beside NaN. ONNX LessOrEqual 12...; `torch.le`.
    public struct LessOrEqual: ComparisonOperator {
        public static let opType = "LessOrEqual"
        public static let opsets = 12...OperatorSet.newest
        static let comparison = Comparison.lessOrEqual
        let legacyAxis: Int?

        public init() { legacyAxis = nil }
        init(legacyAxis: Int?) { self.legacyAxis = legacyAxis }

        public static func samples() throws -> [OperatorSample] { try comparisonSamples() }
    }
}

extension Tensor {
    /// Elementwise a ≤ b with broadcasting, as bool. Source: `torch.le`.
    public static func .<= (a: Tensor, b: Tensor) -> Tensor {
        let (a, b) = promoted(a, b)
        return checked(try Op.LessOrEqual()([a, b])[0])
    }
    public static func .<= (a: Tensor, b: some NumberOperand) -> Tensor { a .<= b.literal(beside: a) }
    public static func .<= (a: some NumberOperand, b: Tensor) -> Tensor { a.literal(beside: b) .<= b }
}
