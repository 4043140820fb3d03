import Autograd
import TensorCore

extension Op {
    /// y = x / (bias + alpha / size · Σ x²)^beta, with the sum over `size` channels around. ONNX LRN 1...;
    /// `torch.nn.functional.local_response_norm`.
    ///
    /// x: `[N, C, ...]`. Of an even `size` the extra channel is the following one.
    public struct LRN: CompositeOperator {
        public static let opType = "LRN"
        public var keepsImagesApart: Bool { true }
        let size: Int
        let alpha: Double
        let beta: Double
        let bias: Double

        public init(size: Int, alpha: Double = 1e-4, beta: Double = 0.75, bias: Double = 1) {
            self.size = size
            self.alpha = alpha
            self.beta = beta
            self.bias = bias
        }

        public init(_ node: NodeAttributes) throws {
            guard let size = try node.int("size"), size > 0 else {
                throw node.unsupported("size", "expected a positive number of channels")
            }
            self.init(
                size: size, alpha: try node.float("alpha", default: 1e-4), beta: try node.float("beta", default: 0.75),
                bias: try node.float("bias", default: 1))
        }

        public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation { batch.rows(output: output) }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] { try likeFirst(inputs) }

        public func expand(_ inputs: [Tensor?]) throws -> [Tensor] {
            let x = try required(inputs, 0, "X")
            func number(_ value: Double) -> Tensor { .literal(value, dtype: x.dtype) }
            let window = ChannelWindowSum(before: (size - 1) / 2, after: size / 2)
            let squares: Tensor = try apply(window, apply(Op.Mul(), x, x))
            let scaled: Tensor = try apply(Op.Mul(), squares, number(alpha / Double(size)))
            let divisor: Tensor = try apply(Op.Add(), scaled, number(bias))
            return [try apply(Op.Mul(), x, apply(PowerOfConstant(exponent: -beta), divisor))]
        }

        public static func samples() throws -> [OperatorSample] {
            func sample(_ name: String, _ op: Op.LRN, _ x: [Int]) -> OperatorSample {
                OperatorSample(name, op, [OperatorSample.values(x)], differentiable: [0])
            }
            return [
                sample("odd", Op.LRN(size: 3, alpha: 0.3), [2, 5, 2]),
                sample("even", Op.LRN(size: 4, alpha: 0.5, beta: 0.5, bias: 2), [1, 5, 1, 2]),
                sample("wider than the channels", Op.LRN(size: 9, alpha: 0.3), [1, 2, 2]),
            ]
        }
    }
}

/// y[n, c] = sum of x[n, c - before] ... x[n, c + after] over the channels there are.
struct ChannelWindowSum: DifferentiableFunction {
    let before: Int
    let after: Int
    let name = "ChannelWindowSum"

    func forward(_ inputs: [NDArray?]) throws -> [NDArray] {
        try inputs.compactMap { $0 }.map { x in
            guard x.rank >= 2 else { throw ShapeError("LRN", "expected x [N, C, ...], got \(x.shape)") }
            switch x.dtype {
            case .float32: return run(x, as: Float.self)
            case .float64: return run(x, as: Double.self)
            default: throw ShapeError("LRN", "expected float32 or float64, got \(x.dtype)")
            }
        }
    }

    private func run<T: FloatingScalar>(_ x: NDArray, as type: T.Type) -> NDArray {
        let (channels, inner) = (x.shape[1], x.shape.dropFirst(2).reduce(1, *))
        var result = NDArray.zeros(x.shape, dtype: x.dtype)
        x.withElements(as: T.self) { x in
            result.withMutableElements(as: T.self) { y in
                for plane in 0..<(inner == 0 ? 0 : x.count / inner) {
                    let channel = plane % channels
                    for other in max(0, channel - before)...min(channels - 1, channel + after) {
                        let (target, source) = (plane * inner, (plane - channel + other) * inner)
                        for index in 0..<inner { y[target + index] += x[source + index] }
                    }
                }
            }
        }
        return result
    }

    func saved(for needs: IndexSet64) -> SavedValues { .none }

    func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
        try [gradOutputs[0].map { try apply(ChannelWindowSum(before: after, after: before), $0) }]
    }
}

/// y = x^exponent.
private struct PowerOfConstant: DifferentiableFunction {
    let exponent: Double
    let name = "Pow"

    func forward(_ inputs: [NDArray?]) throws -> [NDArray] {
        try inputs.compactMap { $0 }.map { try NDArray.binary(.pow, $0, NDArray(scalar: exponent, dtype: $0.dtype)) }
    }

    func saved(for needs: IndexSet64) -> SavedValues { SavedValues(inputs: 0) }

    func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
        guard let g = gradOutputs[0] else { return [nil] }
        let slope: Tensor = try apply(PowerOfConstant(exponent: exponent - 1), context.input(0))
        return [g * (slope * exponent)]
    }
}
