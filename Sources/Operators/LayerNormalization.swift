import Autograd
import TensorCore

extension Op {
    /// y = (x − mean) / √(variance + ε) · scale + bias over the axes from `axis` on.
    ///
    /// Mean and inverse standard deviation are optional further outputs. ONNX LayerNormalization 17..., and ONNX Runtime's of
    /// the same name in the sets before; `torch.nn.functional.layer_norm`.
    public struct LayerNormalization: CompositeOperator {
        public static let opType = "LayerNormalization"
        public static var maximumInputs: Int { 3 }
        public static var maximumOutputs: Int { 3 }
        public static var parameterInputs: [Int: String] { [1: "weight", 2: "bias"] }
        let axis: Int
        let epsilon: Double
        let outputCount: Int

        public init(axis: Int = -1, epsilon: Double = 1e-5, outputCount: Int = 1) {
            self.axis = axis
            self.epsilon = epsilon
            self.outputCount = outputCount
        }

        public init(_ node: NodeAttributes) throws {
            axis = try node.int("axis", default: -1)
            epsilon = try node.float("epsilon", default: 1e-5)
            outputCount = node.outputCount
        }

        public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation {
            let rank = batch.operand(0)?.shape.count ?? 0
            guard let axis = try? axis(axis, rank: rank) else { return batch.unknown }
            return batch.along(touching: Array(axis..<rank), output: output)
        }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] {
            let x = try required(inputs, 0, "X")
            let axis = try axis(axis, rank: x.shape.count)
            let kept = reducedShape(x.shape, Array(axis..<x.shape.count), keepDims: true)
            let statistics = ValueInfo(x.dtype, kept)
            return Array([ValueInfo(x.dtype, x.shape), statistics, statistics].prefix(outputCount))
        }

        public func expand(_ inputs: [Tensor?]) throws -> [Tensor] {
            let x = try required(inputs, 0, "X")
            let scale = try required(inputs, 1, "Scale")
            let bias = optional(inputs, 2)
            let axis = try axis(axis, rank: x.rank)
            try checkNormalized(x, by: scale, bias)
            if outputCount == 1 {
                return [try apply(LayerNorm(axis: axis, epsilon: epsilon), x, scale, bias)]
            }
            // The statistics as results have gradients of their own: a composition.
            let (centered, inverse) = try LayerNorm(axis: axis, epsilon: epsilon).statistics(of: x)
            let scaled = centered * inverse * scale
            let mean = try x.averaged(over: Array(axis..<x.rank), keepDims: true)
            return Array([bias.map { scaled + $0 } ?? scaled, mean, inverse].prefix(outputCount))
        }

        public static func samples() throws -> [OperatorSample] {
            let x = OperatorSample.values([2, 3, 4])
            let (scale, bias) = (OperatorSample.values([4], in: 0.5...2), OperatorSample.values([4], seed: 1))
            let wide = OperatorSample.values([3, 4], in: 0.5...2)
            return [
                OperatorSample("last axis", Op.LayerNormalization(), [x, scale, bias], differentiable: [0, 1, 2]),
                OperatorSample("no bias", Op.LayerNormalization(epsilon: 0.1), [x, scale], differentiable: [0, 1]),
                OperatorSample(
                    "two axes", Op.LayerNormalization(axis: 1), [x, wide, bias], differentiable: [0, 1, 2]),
                OperatorSample(
                    "statistics", Op.LayerNormalization(outputCount: 3), [x, scale, bias], differentiable: [0, 1, 2]),
            ]
        }
    }
}

/// Layer normalisation as one recorded operation: x, scale and an optional bias.
private struct LayerNorm: DifferentiableFunction {
    let axis: Int
    let epsilon: Double
    var name: String { "NativeLayerNorm" }

    func forward(_ inputs: [NDArray?]) throws -> [NDArray] { try forwardWithResiduals(inputs).outputs }

    func forwardWithResiduals(_ inputs: [NDArray?]) throws -> (outputs: [NDArray], residuals: [NDArray]) {
        guard let x = inputs[0], let scale = inputs[1] else { return ([], []) }
        let result = try x.layerNormalized(axis: axis, scale: scale, bias: inputs[2], epsilon: epsilon)
        return ([result.output], [result.mean, result.invStdDev])
    }

    /// x − mean and 1 / √(variance + ε), differentiable.
    func statistics(of x: Tensor) throws -> (centered: Tensor, inverse: Tensor) {
        let axes = Array(axis..<x.rank)
        let centered = try x - x.averaged(over: axes, keepDims: true)
        let variance = try centered.square().averaged(over: axes, keepDims: true)
        return (centered, 1 / (variance + epsilon).sqrt())
    }

    func saved(for needs: IndexSet64) -> SavedValues {
        if !needs.contains(0) && !needs.contains(1) { return SavedValues(residuals: false) }
        return SavedValues(inputs: needs.contains(0) ? [0, 1] : 0)
    }

    func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
        guard let g = gradOutputs[0] else { return [nil, nil, nil] }
        if !GradMode.isEnabled, context.needs(0), g.dtype == .float32 || g.dtype == .float64 {
            return try fusedGradient(g, context)
        }
        var (gradX, gradScale, gradBias): (Tensor?, Tensor?, Tensor?)
        if context.needs(0) || context.needs(1) {
            let x = try context.input(0)
            let normalized: Tensor
            let inverse: Tensor
            if GradMode.isEnabled {
                // To be differentiated again, the statistics must depend on x.
                let (centered, inverseOfX) = try statistics(of: x)
                (normalized, inverse) = (centered * inverseOfX, inverseOfX)
            } else {
                inverse = Tensor(try context.residual(1))
                normalized = (x - Tensor(try context.residual(0))) * inverse
            }
            if context.needs(0) {
                let axes = Array(axis..<x.rank)
                let h = try g * context.input(1)
                let mean = try h.averaged(over: axes, keepDims: true)
                let slope = try (h * normalized).averaged(over: axes, keepDims: true)
                gradX = (h - mean - normalized * slope) * inverse
            }
            if context.needs(1) { gradScale = try (g * normalized).summed(to: context.inputShape(1)) }
        }
        if context.needs(2) { gradBias = try g.summed(to: context.inputShape(2)) }
        return [gradX, gradScale, gradBias]
    }
}

extension LayerNorm {
    /// First derivatives in one pass over x.
    private func fusedGradient(_ g: Tensor, _ context: VJPContext) throws -> [Tensor?] {
        let (gradX, gradScale, gradBias) = try NDArray.layerNormGradient(
            x: context.input(0).array, gradOutput: g.array, axis: axis, mean: context.residual(0),
            invStdDev: context.residual(1), scale: context.input(1).array)
        // A bias of a shape of its own broadcasts otherwise than the scale.
        let isAlike = context.hasInput(2) && context.inputShape(2) == context.inputShape(1)
        return [
            Tensor(gradX), context.needs(1) ? Tensor(gradScale) : nil,
            context.needs(2) ? try isAlike ? Tensor(gradBias) : g.summed(to: context.inputShape(2)) : nil,
        ]
    }
}

extension Tensor {
    /// Layer normalisation over the last axes, `weight.shape` of them; `bias` is optional.
    ///
    /// Source: `torch.nn.functional.layer_norm`.
    public func layerNorm(weight: Tensor, bias: Tensor? = nil, eps: Double = 1e-5) -> Tensor {
        checked(try apply(LayerNorm(axis: rank - weight.rank, epsilon: eps), self, weight, bias))
    }
}
