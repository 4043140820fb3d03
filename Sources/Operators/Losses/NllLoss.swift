import Autograd
import TensorCore

/// Negative log likelihood with label smoothing ε: a linear function of log-probabilities.
///
/// Sample i with label y has the loss -(1 - ε) w[y] logp[i, y] - ε / C · Σ w[c] logp[i, c], and 0 if y is `ignoreIndex`.
/// The mean divides the sum by the w[y] of all samples that count.
///
/// logp: `[N, C, ...]` or `[C]`; labels: `[N, ...]` or a scalar. Source: `torch.nn.functional.nll_loss`, `cross_entropy`.
struct NllLoss: DifferentiableFunction {
    /// `int64`.
    let labels: NDArray
    /// `[C]`; nil stands for ones.
    let weight: NDArray?
    let labelSmoothing: Double
    let ignoreIndex: Int?
    let reduction: Reduction
    var name: String { labels.rank > 1 ? "NllLoss2D" : "NllLoss" }

    func forward(_ inputs: [NDArray?]) throws -> [NDArray] {
        guard let x = inputs[0] else { return [] }
        switch x.dtype {
        case .float32: return [try loss(x, as: Float.self)]
        case .float64: return [try loss(x, as: Double.self)]
        default: throw ShapeError("nllLoss", "expected float32 or float64 scores, got \(x.dtype)")
        }
    }

    func saved(for needs: IndexSet64) -> SavedValues { .none }

    func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
        let rule = NllLossGradient(loss: self, inputShape: context.inputShape(0))
        return try [gradOutputs[0].map { try apply(rule, $0) }]
    }

    /// Sizes of `[N, C, ...]` and the checked labels, -1 for a sample that does not count.
    struct Plan {
        let samples: Int
        let classes: Int
        /// Positions per sample.
        let inner: Int
        let labels: [Int]
        /// One per class; nil stands for ones.
        let weights: [Double]?
        /// What the loss is divided by.
        let divisor: Double

        /// Offset of class 0 of position `index` of the flattened labels.
        func base(_ index: Int) -> Int { index / inner * classes * inner + index % inner }

        func weight(_ label: Int) -> Double { weights?[label] ?? 1 }
    }

    func plan(_ shape: [Int]) throws -> Plan {
        func fail(_ reason: String) -> ShapeError { ShapeError("nllLoss", reason) }
        let isSingle = shape.count == 1
        guard let classes = isSingle ? shape[0] : shape.dropFirst().first,
            labels.shape == (isSingle ? [] : [shape[0]] + shape.dropFirst(2))
        else {
            throw fail("expected scores [N, C, ...] and labels [N, ...], got \(shape) and \(labels.shape)")
        }
        guard labels.dtype.isInteger else { throw fail("labels must be integers, got \(labels.dtype)") }
        if let weight, weight.shape != [classes] { throw fail("expected weight [\(classes)], got \(weight.shape)") }
        let weights = weight?.doubles()
        var checked = labels.integers()
        var total = 0.0
        for (index, label) in checked.enumerated() {
            if label == ignoreIndex {
                checked[index] = -1
                continue
            }
            guard label >= 0 && label < classes else {
                throw fail("label \(label) of sample \(index) is outside of 0..<\(classes)")
            }
            total += weights?[label] ?? 1
        }
        let inner = isSingle ? 1 : max(1, shape.dropFirst(2).reduce(1, *))
        return Plan(
            samples: checked.count, classes: classes, inner: inner, labels: checked, weights: weights,
            divisor: reduction == .mean ? total : 1)
    }

    private func loss<T: FloatingScalar>(_ x: NDArray, as type: T.Type) throws -> NDArray {
        let plan = try plan(x.shape)
        let smooth = labelSmoothing / Double(plan.classes)
        var losses = [Double](repeating: 0, count: plan.samples)
        x.withElements(as: T.self) { x in
            for (index, label) in plan.labels.enumerated() where label >= 0 {
                let base = plan.base(index)
                var loss = (1 - labelSmoothing) * plan.weight(label) * Double(x[base + label * plan.inner])
                if labelSmoothing != 0 {
                    for c in 0..<plan.classes { loss += smooth * plan.weight(c) * Double(x[base + c * plan.inner]) }
                }
                losses[index] = -loss
            }
        }
        if reduction == .none { return NDArray(losses.map { T($0) }, shape: labels.shape) }
        return NDArray(scalar: T(losses.reduce(0, +) / plan.divisor))
    }
}

/// The adjoint of `NllLoss`: the gradient by the log-probabilities.
struct NllLossGradient: DifferentiableFunction {
    let loss: NllLoss
    let inputShape: [Int]
    var name: String { "\(loss.name)Backward" }

    func forward(_ inputs: [NDArray?]) throws -> [NDArray] {
        guard let g = inputs[0] else { return [] }
        return [try g.dtype == .float32 ? gradient(g, as: Float.self) : gradient(g, as: Double.self)]
    }

    func saved(for needs: IndexSet64) -> SavedValues { .none }

    func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
        try [gradOutputs[0].map { try apply(loss, $0) }]
    }

    private func gradient<T: FloatingScalar>(_ g: NDArray, as type: T.Type) throws -> NDArray {
        let plan = try loss.plan(inputShape)
        let smooth = loss.labelSmoothing / Double(plan.classes)
        var result = NDArray.zeros(inputShape, dtype: T.dtype)
        g.withElements(as: T.self) { g in
            result.withMutableElements(as: T.self) { result in
                for (index, label) in plan.labels.enumerated() where label >= 0 {
                    let base = plan.base(index)
                    let scale = -Double(g[loss.reduction == .none ? index : 0]) / plan.divisor
                    if loss.labelSmoothing != 0 {
                        for c in 0..<plan.classes {
                            result[base + c * plan.inner] = T(scale * smooth * plan.weight(c))
                        }
                    }
                    result[base + label * plan.inner] += T(scale * (1 - loss.labelSmoothing) * plan.weight(label))
                }
            }
        }
        return result
    }
}

/// Negative log likelihood of labels.
///
/// - `logProbabilities`: `[N, C, ...]`, or `[C]` for one sample; what `logSoftmax(dim: 1)` gives.
/// - `labels`: integers `[N, ...]`, each in `0 ..< C` or `ignoreIndex`.
/// - `weight`: `[C]`, a factor for every class.
/// - `ignoreIndex`: samples with this label count nothing.
/// - Returns: a scalar, or `[N, ...]` without reduction. The mean is weighted by the weights of the labels.
/// - Throws: `ShapeError` when shapes do not fit or a label is not a class.
///
/// Source: `torch.nn.functional.nll_loss`.
public func nllLoss(
    _ logProbabilities: Tensor, _ labels: Tensor, weight: Tensor? = nil, ignoreIndex: Int = -100,
    reduction: Reduction = .mean
) throws -> Tensor {
    let loss = NllLoss(
        labels: labels.array, weight: weight?.array, labelSmoothing: 0, ignoreIndex: ignoreIndex, reduction: reduction)
    return try apply(loss, logProbabilities)
}
