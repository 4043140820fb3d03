import Autograd
import TensorCore

/// ln(eᵃ + eᵇ) without overflow.
private struct LogAddExp: DifferentiableFunction {
    var name: String { "Logaddexp" }

    func forward(_ inputs: [NDArray?]) throws -> [NDArray] {
        guard let a = inputs[0], let b = inputs[1] else { return [] }
        // Equal infinities must not be subtracted from each other.
        let (larger, smaller) = (try NDArray.binary(.max, a, b), try NDArray.binary(.min, a, b))
        let difference = try NDArray.binary(.sub, smaller, larger)
        let sum = try NDArray.binary(.add, larger, difference.map(.exp).map(.log1p))
        let isSame = try NDArray.compare(.equal, larger, smaller)
        let log2 = NDArray(scalar: 0.693147180559945309, dtype: a.dtype)
        return [try NDArray.select(isSame, NDArray.binary(.add, larger, log2), sum)]
    }

    func saved(for needs: IndexSet64) -> SavedValues { SavedValues(inputs: [0, 1]) }

    func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
        guard let g = gradOutputs[0] else { return [nil, nil] }
        let (a, b) = (try context.input(0), try context.input(1))
        func share(_ other: Tensor, _ own: Tensor, _ index: Int) throws -> Tensor {
            try (g / (1 + (other - own).exp())).summed(to: context.inputShape(index))
        }
        return [
            context.needs(0) ? try share(b, a, 0) : nil, context.needs(1) ? try share(a, b, 1) : nil,
        ]
    }
}

extension Tensor {
    /// 1 / √x, elementwise. Source: `torch.rsqrt`.
    public func rsqrt() -> Tensor { checked(try apply(ReciprocalSquareRoot(), floating)) }

    /// ln(eᵃ + eᵇ), elementwise with broadcasting, without overflow. Source: `torch.logaddexp`.
    public func logaddexp(_ other: Tensor) -> Tensor {
        let (a, b) = promoted(floating, other.floating)
        return checked(try apply(LogAddExp(), a, b))
    }

    /// x limited to 0 ... 6. Source: `torch.nn.functional.relu6`.
    public func relu6() -> Tensor { hardtanh(0, 6) }

    /// x limited to `min` ... `max`; the gradient at both bounds is 0. Source: `torch.nn.functional.hardtanh`.
    public func hardtanh(_ min: Double = -1, _ max: Double = 1) -> Tensor {
        checked(try apply(Hardtanh(min: min, max: max), self))
    }

    /// x divided by its length along `dim`, but by `eps` at least. Source: `torch.nn.functional.normalize`.
    public func normalize(dim: Int = 1, eps: Double = 1e-12) -> Tensor {
        self / norm(dim: [dim], keepdim: true).clamp(min: eps)
    }

    /// The cosine of the angle between vectors along `dim`: x · y / (max(|x|, ε) max(|y|, ε)).
    ///
    /// Source: `torch.nn.functional.cosine_similarity`.
    public func cosineSimilarity(_ other: Tensor, dim: Int = 1, eps: Double = 1e-8) -> Tensor {
        func unit(_ x: Tensor) -> Tensor { x / x.norm(dim: [dim], keepdim: true).clamp(min: eps) }
        return (unit(self) * unit(other)).sum(dim: dim)
    }

    /// `count` numbers from `start` to `end`, both included, at equal distances. Source: `torch.linspace`.
    public static func linspace(_ start: Double, _ end: Double, _ count: Int, dtype: DType = .float32) -> Tensor {
        demand(count >= 0, "linspace: expected a count from 0, got \(count)")
        let step = count > 1 ? (end - start) / Double(count - 1) : 0
        // From the nearer end, so that both are exact.
        let values = (0..<count).map { index in
            index < count / 2 || count == 1 ? start + step * Double(index) : end - step * Double(count - 1 - index)
        }
        return Tensor(NDArray(values).converted(to: dtype))
    }

    /// Integers as rows of zeros with a one at their place: `[..., classes]`, as `int64`.
    ///
    /// - `classes`: by default one more than the largest. Source: `torch.nn.functional.one_hot`.
    public func oneHot(_ classes: Int? = nil) -> Tensor {
        demand(dtype.isInteger, "oneHot: expected integers, got \(dtype): convert with to(.int64)")
        let labels = integers()
        let count = classes ?? (labels.max() ?? -1) + 1
        var values = [Int64](repeating: 0, count: labels.count * count)
        for (row, label) in labels.enumerated() {
            demand(label >= 0 && label < count, "oneHot: label \(label) is outside of 0..<\(count)")
            values[row * count + label] = 1
        }
        return Tensor(NDArray(values, shape: shape + [count]))
    }

    /// This tensor in `float16`. Source: `Tensor.half`.
    public var half: Tensor { to(.float16) }
    /// This tensor in `bfloat16`. Source: `Tensor.bfloat16`.
    public var bfloat16: Tensor { to(.bfloat16) }
    /// This tensor in `float32`. Source: `Tensor.float`.
    public var float: Tensor { to(.float32) }
    /// This tensor in `float64`. Source: `Tensor.double`.
    public var double: Tensor { to(.float64) }
    /// This tensor in `int64`. Source: `Tensor.long`.
    public var long: Tensor { to(.int64) }
}

/// x limited to fixed bounds, where the gradient is 0.
private struct Hardtanh: DifferentiableFunction {
    let min: Double
    let max: Double
    var name: String { "Hardtanh" }

    func forward(_ inputs: [NDArray?]) throws -> [NDArray] {
        try inputs.compactMap { try $0?.clamped(min: min, max: max) }
    }

    func saved(for needs: IndexSet64) -> SavedValues { SavedValues(inputs: 0) }

    func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
        let rule = SlopeGradient(name: "HardtanhBackward", low: min, high: max, isOpen: true)
        return try [gradOutputs[0].map { try apply(rule, $0, context.input(0).detach()) }]
    }
}
