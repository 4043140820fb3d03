// An operation of your own, and the proof that its gradient is right.
import FineTune

/// softplus(x) = log(1 + exp(x)), with d softplus / dx = sigmoid(x).
struct Softplus: DifferentiableFunction {
    let name = "Softplus"

    func forward(_ inputs: [NDArray?]) throws -> [NDArray] {
        try inputs.compactMap { try $0?.map(.exp).map(.log1p) }
    }

    /// The rule below reads x, so x is kept.
    func saved(for needs: IndexSet64) -> SavedValues { SavedValues(inputs: 0) }

    /// Written in tensor operations, so that the gradient has a gradient.
    func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
        [try gradOutputs[0].map { try $0 * context.input(0).sigmoid() }]
    }
}

/// The same with a mistake in its rule.
struct WrongSoftplus: DifferentiableFunction {
    let name = "WrongSoftplus"

    func forward(_ inputs: [NDArray?]) throws -> [NDArray] { try Softplus().forward(inputs) }

    func saved(for needs: IndexSet64) -> SavedValues { SavedValues(inputs: 0) }

    func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
        [try gradOutputs[0].map { try $0 * context.input(0).tanh() }]
    }
}

// It records like any other operation.
let x = Tensor([-1, 0, 2], requiresGrad: true)
let y: Tensor = try apply(Softplus(), x)
print(y)
try y.sum().backward()
print(x.grad ?? y)

// Finite differences need double precision. Order 2 checks the gradient of the gradient as well.
let point = NDArray([-1.0, 0.3, 2.0])
let count = try checkGradients([point], order: 2) { try [apply(Softplus(), $0[0])] }
print("checked \(count) partial derivatives")

do {
    try checkGradients([point]) { try [apply(WrongSoftplus(), $0[0])] }
} catch {
    print("refused:", "\(error)".prefix { $0 != ":" })
}

// The same check for a whole model, by its input.
let model = withRandomSeed(2) {
    Sequential(Linear(3, 4, dtype: .float64), Tanh(), Linear(4, 2, dtype: .float64))
}
print("model: \(try checkGradients([point.reshaped([1, 3])]) { try [model($0[0])] }) partial derivatives")
