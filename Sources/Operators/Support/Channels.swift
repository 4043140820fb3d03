import Autograd
import TensorCore

// Functions of x: [N, C, ...] and of one number per channel. The sum of g · (x · factor) is linear in each of g, x and
// factor, so `ChannelAffine` and `ChannelDot` are each other's gradients.

/// y = x · factor[c] + offset[c]; both are optional.
struct ChannelAffine: DifferentiableFunction {
    var name = "Mul"

    func forward(_ inputs: [NDArray?]) throws -> [NDArray] {
        guard let x = inputs[0] else { return [] }
        let channels = x.rank > 1 ? x.shape[1] : 0
        let factor = inputs[1] ?? NDArray.ones([channels], dtype: x.dtype)
        let offset = inputs[2] ?? NDArray.zeros([channels], dtype: x.dtype)
        return [try x.scaledByChannel(factor, offset)]
    }

    func saved(for needs: IndexSet64) -> SavedValues { savedOfProduct(needs) }

    func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
        guard let g = gradOutputs[0] else { return [nil, nil, nil] }
        var gradients: [Tensor?] = [nil, nil, nil]
        if context.needs(0) {
            gradients[0] = context.hasInput(1) ? try g.scaledAlongChannels(context.input(1)) : g
        }
        if context.needs(1) { gradients[1] = try g.channelDot(context.input(0)) }
        if context.needs(2) { gradients[2] = try g.channelSum() }
        return gradients
    }
}

/// Sum of a · b over everything but channels: `[C]`.
struct ChannelDot: DifferentiableFunction {
    let name = "ChannelDot"

    func forward(_ inputs: [NDArray?]) throws -> [NDArray] {
        guard let a = inputs[0], let b = inputs[1] else { return [] }
        return [try NDArray.channelDot(a, b)]
    }

    func saved(for needs: IndexSet64) -> SavedValues { savedOfProduct(needs) }

    func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
        guard let u = gradOutputs[0] else { return [nil, nil] }
        return [
            context.needs(0) ? try context.input(1).scaledAlongChannels(u) : nil,
            context.needs(1) ? try context.input(0).scaledAlongChannels(u) : nil,
        ]
    }
}

/// Sum over everything but channels: `[C]`.
struct ChannelSum: DifferentiableFunction {
    let name = "Sum"

    func forward(_ inputs: [NDArray?]) throws -> [NDArray] { try inputs.compactMap { $0 }.map(convolutionBiasGradient) }

    func saved(for needs: IndexSet64) -> SavedValues { .none }

    func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
        try [gradOutputs[0].map { try $0.broadcastAlongChannels(context.inputShape(0)) }]
    }
}

extension Tensor {
    /// x · factor[c].
    func scaledAlongChannels(_ factor: Tensor) throws -> Tensor { try apply(ChannelAffine(), self, factor, nil) }

    /// Sum of self · other over everything but channels.
    func channelDot(_ other: Tensor) throws -> Tensor { try apply(ChannelDot(), self, other) }

    /// Sum over everything but channels: `[C]`.
    func channelSum() throws -> Tensor { try apply(ChannelSum(), self) }

    /// One number per channel, `[C]`, stretched to `shape`, `[N, C, ...]`.
    func broadcastAlongChannels(_ shape: [Int]) throws -> Tensor {
        let column = [1, count] + [Int](repeating: 1, count: shape.count - 2)
        return try apply(BroadcastTo(target: shape), reshaped(column))
    }
}

/// y = 1 / √x.
struct ReciprocalSquareRoot: DifferentiableFunction {
    let name = "Rsqrt"

    func forward(_ inputs: [NDArray?]) throws -> [NDArray] { try inputs.compactMap { try $0?.map(.rsqrt) } }

    func saved(for needs: IndexSet64) -> SavedValues { SavedValues(outputs: 0) }

    func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
        guard let g = gradOutputs[0] else { return [nil] }
        let y = try context.output(0)
        return [g * (y * y * y * -0.5)]
    }
}
