import Autograd
import TensorCore

// The sum over all positions of g · conv(x, w) is linear in each of g, x and w. Its three partial gradients are the
// convolution itself and the two functions below, so differentiating any of them leads to the other two.

/// Gradient of a convolution by its input: the transposed convolution of g with w.
struct ConvInputGradient: DifferentiableFunction {
    let geometry: ConvolutionGeometry
    let inputShape: [Int]
    let name = "ConvolutionBackward"

    /// g: `[N, M, ...]`, w: `[M, C / groups, kernel...]`; result: `inputShape`.
    func forward(_ inputs: [NDArray?]) throws -> [NDArray] {
        guard let g = inputs[0], let w = inputs[1] else { return [] }
        return [try convolutionInputGradient(g, w, inputShape: inputShape, geometry: geometry)]
    }

    func saved(for needs: IndexSet64) -> SavedValues { savedOfProduct(needs) }

    func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
        guard let u = gradOutputs[0] else { return [nil, nil] }
        var gradients: [Tensor?] = [nil, nil]
        if context.needs(0) { gradients[0] = try apply(Op.Conv(geometry), u, context.input(1)) }
        if context.needs(1) {
            let rule = ConvWeightGradient(geometry: geometry, weightShape: context.inputShape(1))
            gradients[1] = try apply(rule, u, context.input(0))
        }
        return gradients
    }
}

/// Gradient of a convolution by its weight: the correlation of x with g.
struct ConvWeightGradient: DifferentiableFunction {
    let geometry: ConvolutionGeometry
    let weightShape: [Int]
    let name = "ConvolutionBackward"

    /// x: `[N, C, ...]`, g: `[N, M, ...]`; result: `weightShape`.
    func forward(_ inputs: [NDArray?]) throws -> [NDArray] {
        guard let x = inputs[0], let g = inputs[1] else { return [] }
        return [try convolutionWeightGradient(x, g, weightShape: weightShape, geometry: geometry)]
    }

    func saved(for needs: IndexSet64) -> SavedValues { savedOfProduct(needs) }

    func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
        guard let u = gradOutputs[0] else { return [nil, nil] }
        var gradients: [Tensor?] = [nil, nil]
        if context.needs(0) {
            let rule = ConvInputGradient(geometry: geometry, inputShape: context.inputShape(0))
            gradients[0] = try apply(rule, context.input(1), u)
        }
        if context.needs(1) { gradients[1] = try apply(Op.Conv(geometry), context.input(0), u) }
        return gradients
    }
}

/// What a bilinear function of two inputs saves: for the gradient of each the other one.
func savedOfProduct(_ needs: IndexSet64) -> SavedValues {
    var inputs: IndexSet64 = []
    if needs.contains(0) { inputs.insert(1) }
    if needs.contains(1) { inputs.insert(0) }
    return SavedValues(inputs: inputs)
}
