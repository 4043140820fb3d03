import Autograd
import TensorCore

/// Batch normalisation by the batch's own statistics: y = (x - mean(x)) / √(variance(x) + epsilon) · scale + bias.
///
/// Inputs: x `[N, C, ...]`, scale and bias `[C]`. Outputs: y, and the mean and biased variance, which carry no gradient.
/// First derivatives come from a kernel that makes one pass for the sums and one for the gradient; under `createGraph` the
/// same formula is written in tensor operations.
struct BatchNormTraining: DifferentiableFunction {
    let epsilon: Double
    let name = "NativeBatchNorm"

    func forward(_ inputs: [NDArray?]) throws -> [NDArray] {
        guard let x = inputs[0], let scale = inputs[1], let bias = inputs[2] else { return [] }
        let (mean, variance) = try x.batchStatistics()
        let y = try x.batchNormalized(scale: scale, bias: bias, mean: mean, variance: variance, epsilon: epsilon)
        return [y, mean, variance]
    }

    func saved(for needs: IndexSet64) -> SavedValues {
        if needs.contains(0) { return SavedValues(inputs: [0, 1], outputs: [1, 2]) }
        return needs.contains(1) ? SavedValues(inputs: 0, outputs: [1, 2]) : .none
    }

    func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
        guard let g = gradOutputs[0] else { return [nil, nil, nil] }
        guard context.needs(0) || context.needs(1) else { return [nil, nil, try g.channelSum()] }
        return GradMode.isEnabled ? try composedGradient(g, context) : try fusedGradient(g, context)
    }

    private func fusedGradient(_ g: Tensor, _ context: VJPContext) throws -> [Tensor?] {
        let x = try context.input(0).array
        let mean = try context.output(1).array
        let variance = try context.output(2).array
        let invStd = try NDArray.binary(.add, variance, NDArray(scalar: epsilon, dtype: variance.dtype)).map(.rsqrt)
        if !context.needs(0) {
            let (gradScale, gradBias) = try NDArray.batchNormParameterGradient(
                x: x, gradOutput: g.array, mean: mean, invStd: invStd)
            return [nil, Tensor(gradScale), Tensor(gradBias)]
        }
        let (gradX, gradScale, gradBias) = try NDArray.batchNormTrainingGradient(
            x: x, gradOutput: g.array, mean: mean, invStd: invStd, scale: context.input(1).array)
        return [Tensor(gradX), Tensor(gradScale), Tensor(gradBias)]
    }

    /// With x̂ = (x - mean) · invStd: gradBias = Σ g, gradScale = Σ g x̂ and
    /// gradX = scale · invStd · (g - Σ g / m - x̂ Σ g x̂ / m), where m counts the elements of a channel.
    private func composedGradient(_ g: Tensor, _ context: VJPContext) throws -> [Tensor?] {
        let x = try context.input(0)
        let share = Double(x.shape[1]) / Double(x.count)
        let mean = try x.channelSum() * share
        let centered: Tensor = try apply(ChannelAffine(), x, nil, -mean)
        let variance = try centered.channelDot(centered) * share
        let invStd: Tensor = try apply(ReciprocalSquareRoot(), variance + epsilon)
        let normalized = try centered.scaledAlongChannels(invStd)
        let gradBias = try g.channelSum()
        let gradScale = try g.channelDot(normalized)
        guard context.needs(0) else { return [nil, gradScale, gradBias] }
        let projection: Tensor = try apply(ChannelAffine(), normalized, gradScale * share, gradBias * share)
        let gradX = try (g - projection).scaledAlongChannels(context.input(1) * invStd)
        return [gradX, gradScale, gradBias]
    }
}

/// Batch normalisation by given statistics; x: `[N, C, ...]`, the rest `[C]` of x's type.
func batchNormInference(
    _ x: Tensor, scale: Tensor?, bias: Tensor?, mean: NDArray, variance: NDArray, epsilon: Double
) throws -> Tensor {
    let invStd = try NDArray.binary(.add, variance, NDArray(scalar: epsilon, dtype: variance.dtype)).map(.rsqrt)
    let factor: Tensor
    if let scale { factor = try apply(Op.Mul(), scale, Tensor(invStd)) } else { factor = Tensor(invStd) }
    var offset: Tensor = try apply(Op.Mul(), factor, Tensor(mean.map(.neg)))
    if let bias { offset = try apply(Op.Add(), bias, offset) }
    return try apply(ChannelAffine(name: "NativeBatchNorm"), x, factor, offset)
}

/// Mean and biased variance of each channel of a batch, `[C]`.
public struct BatchStatistics: Sendable {
    public let mean: NDArray
    /// Divided by the number of elements; PyTorch's running variance moves towards `count / (count - 1)` times this.
    public let variance: NDArray
    /// Elements per channel.
    public let count: Int

    public init(mean: NDArray, variance: NDArray, count: Int) {
        (self.mean, self.variance, self.count) = (mean, variance, count)
    }
}

/// y = (x - mean) / √(variance + epsilon) · scale + bias for every channel.
///
/// - `x`: `[N, C, ...]`.
/// - `scale`, `bias`: `[C]`; nil stands for ones and zeros.
/// - `mean`, `variance`: `[C]`, the running statistics, used unless `training`.
/// - `training`: normalise by the statistics of x, which are returned for the running ones to be moved.
/// - Throws: `ShapeError` when shapes do not fit, and when training finds one element per channel or none.
///
/// Source: `torch.nn.functional.batch_norm`.
public func batchNorm(
    _ x: Tensor, scale: Tensor? = nil, bias: Tensor? = nil, mean: NDArray, variance: NDArray, training: Bool,
    epsilon: Double = 1e-5
) throws -> (output: Tensor, statistics: BatchStatistics?) {
    guard x.rank >= 2 else { throw ShapeError("batchNorm", "expected x [N, C, ...], got \(x.shape)") }
    let channels = x.shape[1]
    for array in [scale?.array, bias?.array, mean, variance].compactMap({ $0 }) where array.shape != [channels] {
        throw ShapeError("batchNorm", "expected [\(channels)] per channel of \(x.shape), got \(array.shape)")
    }
    guard training else {
        let y = try batchNormInference(x, scale: scale, bias: bias, mean: mean, variance: variance, epsilon: epsilon)
        return (y, nil)
    }
    let count = channels == 0 ? 0 : x.count / channels
    guard count > 1 else {
        throw ShapeError("batchNorm", "training needs more than one element per channel, got \(x.shape)")
    }
    let result = try apply(
        BatchNormTraining(epsilon: epsilon),
        [
            x, scale ?? Tensor(NDArray.ones([channels], dtype: x.dtype)),
            bias ?? Tensor(NDArray.zeros([channels], dtype: x.dtype)),
        ])
    let statistics = BatchStatistics(mean: result[1].array, variance: result[2].array, count: count)
    return (result[0], statistics)
}
