import Autograd
import TensorCore

/// x + c, x − c, x · c or x / c for a number c: what `x * 2` records. The number is no node of the graph.
struct NumberArithmetic: DifferentiableFunction {
    enum Function: Sendable { case add, sub, mul, div }
    let function: Function
    let number: Double

    var name: String {
        switch function {
        case .add: "Add"
        case .sub: "Sub"
        case .mul: "Mul"
        case .div: "Div"
        }
    }

    func forward(_ inputs: [NDArray?]) throws -> [NDArray] {
        guard let x = inputs[0] else { return [] }
        switch function {
        case .add: return [try .binary(.add, x, number)]
        case .sub: return [try .binary(.sub, x, number)]
        case .mul: return [try .binary(.mul, x, number)]
        case .div: return [try .binary(.div, x, number)]
        }
    }

    func saved(for needs: IndexSet64) -> SavedValues { .none }

    func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
        guard let g = gradOutputs[0] else { return [nil] }
        switch function {
        case .add, .sub: return [g]
        case .mul, .div: return [try apply(self, g)]
        }
    }
}

extension Tensor {
    /// Combines a floating-point tensor with a number; nil when the number decides the type.
    func with(_ function: NumberArithmetic.Function, _ number: some NumberOperand) -> Tensor? {
        guard dtype.isFloatingPoint else { return nil }
        return checked(try apply(NumberArithmetic(function: function, number: number.asDouble), self))
    }
}
