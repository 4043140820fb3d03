// Derivatives of any order of a chain of functions, by differentiating derivatives.
import FineTune
import Foundation

struct ChainRuleDifferentiator {
    let functions: [(Tensor) -> Tensor]

    /// The derivative of the given order of the whole chain at `x`.
    func derivative(at x: Double, order: Int = 1) throws -> Double {
        let x = Tensor(x, requiresGrad: true)
        var result = functions.reduce(x) { value, function in function(value) }
        for _ in 0..<order {
            // createGraph records the backward pass itself, so that it can be differentiated again.
            result = try grad(of: result, wrt: x, createGraph: true)
        }
        return result.item()
    }
}

let differentiator = ChainRuleDifferentiator(functions: [
    { x in 24 * x ** 2 },
    { y in 8 * y ** 3 },
    { z in 2 * z ** 4 },
])
// The chain is 2 · (8 · (24 x²)³)⁴ = c x²⁴, so that the derivatives are known.
var exact: Double = 2 * pow(8.0, 4.0) * pow(24.0, 12.0) * pow(2.0, 24.0)
for order in 1...4 {
    exact *= Double(25 - order) / 2
    let value = try differentiator.derivative(at: 2, order: order)
    print(String(format: "derivative of order %d at x = 2.0: %.4e", order, value), terminator: "")
    print(abs(value / exact - 1) < 1e-6 ? ", correct to six digits" : ", expected \(exact)")
}
