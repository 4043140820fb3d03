import Autograd
import TensorCore

extension Op {
    /// Elementwise a = b with broadcasting, as bool; false beside NaN. ONNX Equal 1...; `torch.eq`.
    public struct Equal: ComparisonOperator {
        public static let opType = "Equal"
        static let comparison = Comparison.equal
        let legacyAxis: Int?

        public init() { legacyAxis = nil }
        init(legacyAxis: Int?) { self.legacyAxis = legacyAxis }

        public static func samples() throws -> [OperatorSample] { try comparisonSamples() }
    }
}

extension Tensor {
    /// Elementwise a = b with broadcasting, as bool. Source: `torch.eq`.
    public static func .== (a: Tensor, b: Tensor) -> Tensor {
        let (a, b) = promoted(a, b)
        return checked(try Op.Equal()([a, b])[0])
    }
    public static func .== (a: Tensor, b: some NumberOperand) -> Tensor { a .== b.literal(beside: a) }
    public static func .== (a: some NumberOperand, b: Tensor) -> Tensor { a.literal(beside: b) .== b }

    /// Elementwise a ≠ b with broadcasting, as bool; true beside NaN. Source: `torch.ne`.
    public static func .!= (a: Tensor, b: Tensor) -> Tensor {
        let (a, b) = promoted(a, b)
        return checked(try Tensor(NDArray.compare(.notEqual, a.array, b.array)))
    }
    public static func .!= (a: Tensor, b: some NumberOperand) -> Tensor { a .!= b.literal(beside: a) }
    public static func .!= (a: some NumberOperand, b: Tensor) -> Tensor { a.literal(beside: b) .!= b }

    /// True when shape and every element agree. Source: `torch.equal`.
    public func isEqual(to other: Tensor) -> Bool {
        shape == other.shape && (self .== other).array.elements(as: Bool.self).allSatisfy { $0 }
    }
}
