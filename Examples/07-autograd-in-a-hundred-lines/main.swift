// Reverse-mode differentiation from nothing, on single numbers, and the same expression in FineTune.
import FineTune

/// A number that remembers how it was made.
final class Value {
    let data: Double
    let requiresGrad: Bool
    var grad: Value?
    let origin: Operation?
    /// Counts up, so that the inputs of an operation are always older than its result.
    let birth: Int
    @MainActor static var births = 0

    @MainActor init(_ data: Double, requiresGrad: Bool = false) {
        (self.data, self.requiresGrad, origin) = (data, requiresGrad, nil)
        birth = Value.nextBirth()
    }

    /// A result requires a gradient when one of its inputs does, and only then is it recorded.
    @MainActor init(_ data: Double, _ kind: Operation.Kind, _ inputs: [Value]) {
        self.data = data
        requiresGrad = inputs.contains(where: \.requiresGrad)
        origin = requiresGrad ? Operation(kind: kind, inputs: inputs) : nil
        birth = Value.nextBirth()
    }

    @MainActor private static func nextBirth() -> Int {
        births += 1
        return births
    }
}

/// What was recorded: which operation, of which inputs. Data and no closure, so that it can be printed and drawn.
struct Operation {
    enum Kind { case add, multiply, reciprocal }
    let kind: Kind
    let inputs: [Value]

    /// The gradient of each input from that of the result, in operations on values: so it has a gradient in its turn.
    @MainActor func vjp(_ gradOutput: Value, _ output: Value) -> [Value] {
        switch kind {
        case .add: [gradOutput, gradOutput]
        case .multiply: [gradOutput * inputs[1], gradOutput * inputs[0]]
        case .reciprocal: [Value(-1) * gradOutput * output * output]
        }
    }
}

extension Value {
    @MainActor static func + (a: Value, b: Value) -> Value { Value(a.data + b.data, .add, [a, b]) }
    @MainActor static func * (a: Value, b: Value) -> Value { Value(a.data * b.data, .multiply, [a, b]) }
    @MainActor static func / (a: Value, b: Value) -> Value { a * Value(1 / b.data, .reciprocal, [b]) }

    /// Visits what was recorded, newest first: by then every user of a value has sent its share of the gradient.
    @MainActor func backward() {
        var arrived = [birth: Value(1)]
        var waiting = [birth: self]
        while let newest = waiting.keys.max(), let value = waiting.removeValue(forKey: newest) {
            guard let gradient = arrived.removeValue(forKey: newest) else { continue }
            guard let origin = value.origin else {
                value.grad = value.grad.map { $0 + gradient } ?? gradient
                continue
            }
            for (input, share) in zip(origin.inputs, origin.vjp(gradient, value)) where input.requiresGrad {
                arrived[input.birth] = arrived[input.birth].map { $0 + share } ?? share
                waiting[input.birth] = input
            }
        }
    }
}

// f(x, y) = x / (x + y²), with df/dx = y² / (x + y²)² and df/dy = -2xy / (x + y²)².
let x = Value(3, requiresGrad: true)
let y = Value(2, requiresGrad: true)
let frozen = Value(1)
let f = frozen * x / (x + y * y)
f.backward()
print("f =", f.data)
print("df/dx =", x.grad?.data ?? .nan, "exact:", 4.0 / 49)
print("df/dy =", y.grad?.data ?? .nan, "exact:", -12.0 / 49)
print("frozen:", frozen.grad.map { "\($0.data)" } ?? "no gradient")

// A gradient is a value with an origin, so it can be differentiated again: d²f/dx² = -2y² / (x + y²)³.
if let first = x.grad {
    (x.grad, y.grad) = (nil, nil)
    first.backward()
    print("d²f/dx² =", x.grad?.data ?? .nan, "exact:", -8.0 / 343)
}

// The same in FineTune, with tensors.
let a = Tensor(3.0, requiresGrad: true)
let b = Tensor(2.0, requiresGrad: true)
let gradients = try grad(of: [a / (a + b * b)], wrt: [a, b], createGraph: true)
print("FineTune:", gradients.compactMap { $0?.item() })
