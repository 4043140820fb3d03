import Autograd
import TensorCore

/// A function of one number that is compiled for every element type.
protocol ElementFunction: Sendable {
    func callAsFunction<T: FloatingScalar>(_ x: T) -> T
}

extension NDArray {
    /// f(x), element by element, in this array's type; 16-bit floats are computed in `float32`.
    func mapped(_ function: some ElementFunction, _ operation: String) throws -> NDArray {
        func run<T: FloatingScalar>(_ type: T.Type) -> NDArray {
            var result = NDArray(uninitialized: shape, dtype: dtype)
            withElements(as: T.self) { x in
                result.withMutableElements(as: T.self) { y in
                    forEachPiece(count) { piece in for index in piece { y[index] = function(x[index]) } }
                }
            }
            return result
        }
        switch dtype {
        case .float32: return run(Float.self)
        case .float64: return run(Double.self)
        case .float16, .bfloat16: return try converted(to: .float32).mapped(function, operation).converted(to: dtype)
        default: throw ShapeError(operation, "expected floating-point numbers, got \(dtype)")
        }
    }
}

/// Calls `body` on pieces of `0 ..< count`, in parallel when there are many elements.
func forEachPiece(_ count: Int, _ body: (Range<Int>) -> Void) {
    let size = 1 << 15
    if count <= size { return body(0..<count) }
    withoutActuallyEscaping(body) { body in
        // Pieces write to ranges of their own, and `forEach` returns when all are done.
        nonisolated(unsafe) let body = body
        Parallel.forEach((count + size - 1) / size) { piece in
            body(piece * size..<min(count, (piece + 1) * size))
        }
    }
}

extension Operator {
    /// The shape rule of an elementwise operator: the output is like the first input.
    func likeFirst(_ inputs: [ValueInfo?]) throws -> [ValueInfo] {
        let x = try required(inputs, 0, "X")
        return [ValueInfo(x.dtype, x.shape)]
    }
}

/// g times the slope at x of a function of three straight pieces: linear in g, and x only decides.
///
/// The slope is `inside` for low ≤ x ≤ high (low < x < high when `isOpen`), `below` under it and `above` over it; where x
/// is NaN it is `atNaN`.
struct SlopeGradient: DifferentiableFunction {
    var name: String
    var low = -Double.infinity
    var high = Double.infinity
    var below = 0.0
    var inside = 1.0
    var above = 0.0
    var isOpen = false
    var atNaN = 0.0

    func forward(_ inputs: [NDArray?]) throws -> [NDArray] {
        guard let g = inputs[0], let x = inputs[1] else { return [] }
        guard g.shape == x.shape, g.dtype == x.dtype else {
            throw ShapeError(name, "expected a gradient of shape \(x.shape), got \(g.shape)")
        }
        switch x.dtype {
        case .float32: return [run(Float.self, g, x)]
        case .float64: return [run(Double.self, g, x)]
        case .float16, .bfloat16:
            return try forward([g.converted(to: .float32), x.converted(to: .float32)]).map { $0.converted(to: x.dtype) }
        default: throw ShapeError(name, "expected floating-point numbers, got \(x.dtype)")
        }
    }

    private func run<T: FloatingScalar>(_ type: T.Type, _ g: NDArray, _ x: NDArray) -> NDArray {
        var (low, high) = (T(low), T(high))
        // What has no bound is not left out at infinity.
        if isOpen && low.isFinite { low = low.nextUp }
        if isOpen && high.isFinite { high = high.nextDown }
        let (below, inside, above, atNaN) = (T(below), T(inside), T(above), T(atNaN))
        var result = NDArray(uninitialized: x.shape, dtype: x.dtype)
        g.withElements(as: T.self) { g in
            x.withElements(as: T.self) { x in
                result.withMutableElements(as: T.self) { y in
                    forEachPiece(x.count) { piece in
                        for index in piece {
                            let x = x[index]
                            let slope = x < low ? below : x > high ? above : x.isNaN ? atNaN : inside
                            // A slope of zero ends the gradient, also an infinite one.
                            y[index] = slope == 0 ? 0 : g[index] * slope
                        }
                    }
                }
            }
        }
        return result
    }

    func saved(for needs: IndexSet64) -> SavedValues { SavedValues(inputs: 1) }

    func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
        try [gradOutputs[0].map { try apply(self, $0, context.input(1)) }, nil]
    }
}
