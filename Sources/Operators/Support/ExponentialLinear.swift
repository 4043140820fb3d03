import Autograd
import TensorCore

/// y = gamma · x for x > 0, gamma · alpha · (e^(x / width) - 1) otherwise: what Elu, Selu and Celu have in common.
func exponentialLinear(_ x: Tensor, gamma: Double = 1, alpha: Double, width: Double = 1) throws -> Tensor {
    func number(_ value: Double) -> Tensor { .literal(value, dtype: x.dtype) }
    // The two halves of x, so that the derivative at 0 is that of the left piece, as PyTorch's.
    let positive: Tensor = try apply(Op.Relu(), x)
    let isPositive = try Op.Greater()([x, number(0)])[0]
    var negative: Tensor = try apply(Op.Where(), isPositive, number(0), x)
    if width != 1 { negative = try apply(Op.Mul(), negative, number(1 / width)) }
    negative = try apply(Op.Mul(), apply(ExponentialMinusOne(), negative), number(alpha))
    let sum: Tensor = try apply(Op.Add(), positive, negative)
    return gamma == 1 ? sum : try apply(Op.Mul(), sum, number(gamma))
}

/// y = e^x - 1.
struct ExponentialMinusOne: DifferentiableFunction {
    let name = "Expm1"

    func forward(_ inputs: [NDArray?]) throws -> [NDArray] { try inputs.compactMap { try $0?.map(.expm1) } }

    func saved(for needs: IndexSet64) -> SavedValues { SavedValues(outputs: 0) }

    func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
        try [gradOutputs[0].map { try $0 * (context.output(0) + 1) }]
    }
}
