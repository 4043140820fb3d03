import Autograd
import TensorCore

extension Op {
    /// Elementwise a < b with broadcasting, as bool; false beside NaN. ONNX Less 1...; `torch.lt`.
    public struct Less: ComparisonOperator {
        public static let opType = "Less"
        static let comparison = Comparison.less
        let legacyAxis: Int?

        public init() { legacyAxis = nil }
        init(legacyAxis: Int?) { self.legacyAxis = legacyAxis }

        public static func samples() throws -> [OperatorSample] { try comparisonSamples() }
    }
}

extension Tensor {
    /// Elementwise a < b with broadcasting, as bool. Source: `torch.lt`.
    public static func .< (a: Tensor, b: Tensor) -> Tensor {
        let (a, b) = promoted(a, b)
        return checked(try Op.Less()([a, b])[0])
    }
    public static func .< (a: Tensor, b: some NumberOperand) -> Tensor { a .< b.literal(beside: a) }
    public static func .< (a: some NumberOperand, b: Tensor) -> Tensor { a.literal(beside: b) .< b }
}
