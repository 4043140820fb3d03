import Autograd
import TensorCore

extension Op {
    /// y = alpha · op(a) op(b) + beta · c, where op transposes on request. ONNX Gemm 1...; `torch.addmm`.
    ///
    /// op(a): `[M, K]`, op(b): `[K, N]`, c broadcasts to `[M, N]` or is omitted (11); y: `[M, N]`. The `broadcast`
    /// attribute of operator sets before 7 only permits what is always permitted here.
    public struct Gemm: PrimitiveOperator {
        public static let opType = "Gemm"
        public static var maximumInputs: Int { 3 }
        public static var parameterInputs: [Int: String] { [1: "weight", 2: "bias"] }
        public var name: String { "Addmm" }
        public let transA: Bool
        public let transB: Bool
        public let alpha: Double
        public let beta: Double

        public init(transA: Bool = false, transB: Bool = false, alpha: Double = 1, beta: Double = 1) {
            self.transA = transA
            self.transB = transB
            self.alpha = alpha
            self.beta = beta
        }

        public init(_ node: NodeAttributes) throws {
            self.init(
                transA: try node.bool("transA", default: false), transB: try node.bool("transB", default: false),
                alpha: try node.float("alpha", default: 1), beta: try node.float("beta", default: 1))
        }

        public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation {
            batch.gemm(transA: transA, transB: transB)
        }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] {
            let (a, b) = (try required(inputs, 0, "A"), try required(inputs, 1, "B"))
            guard a.shape.count == 2, b.shape.count == 2, a.shape[transA ? 0 : 1] == b.shape[transB ? 1 : 0] else {
                let marks = (transA ? "ᵀ" : "", transB ? "ᵀ" : "")
                throw failure("expected A [M, K] and B [K, N], got \(a.shape)\(marks.0) and \(b.shape)\(marks.1)")
            }
            let shape = [a.shape[transA ? 1 : 0], b.shape[transB ? 0 : 1]]
            if let c = optional(inputs, 2), broadcastShape(c.shape, shape) != shape {
                throw failure("expected C to broadcast to \(shape), got \(c.shape)")
            }
            return [ValueInfo(a.dtype, shape)]
        }

        public func forward(_ inputs: [NDArray?]) throws -> [NDArray] {
            let (a, b) = (try required(inputs, 0, "A"), try required(inputs, 1, "B"))
            let c = optional(inputs, 2)
            return [try gemm(a, transposeA: transA, b, transposeB: transB, alpha: alpha, c: c, beta: beta)]
        }

        public func saved(for needs: IndexSet64) -> SavedValues { savedOfProduct(needs) }

        public func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
            var gradients = [Tensor?](repeating: nil, count: context.inputCount)
            guard let g = gradOutputs[0] else { return gradients }
            // With A = op(a) and B = op(b): ∂A = α g Bᵀ and ∂B = α Aᵀ g, each transposed back by swapping the operands.
            if context.needs(0) {
                let b = try context.input(1)
                gradients[0] =
                    transA
                    ? try apply(Op.Gemm(transA: transB, transB: true, alpha: alpha), b, g)
                    : try apply(Op.Gemm(transB: !transB, alpha: alpha), g, b)
            }
            if context.needs(1) {
                let a = try context.input(0)
                gradients[1] =
                    transB
                    ? try apply(Op.Gemm(transA: true, transB: transA, alpha: alpha), g, a)
                    : try apply(Op.Gemm(transA: !transA, alpha: alpha), a, g)
            }
            if context.needs(2) {
                let sum = try g.summed(to: context.inputShape(2))
                gradients[2] = beta == 1 ? sum : sum * beta
            }
            return gradients
        }

        public static func samples() throws -> [OperatorSample] {
            func sample(_ name: String, _ op: Op.Gemm, _ c: [Int]?, m: Int = 2) -> OperatorSample {
                let (k, n) = (3, 4)
                var inputs = [
                    OperatorSample.values(op.transA ? [k, m] : [m, k]),
                    OperatorSample.values(op.transB ? [n, k] : [k, n], seed: 1),
                ]
                if let c { inputs.append(OperatorSample.values(c, seed: 2)) }
                return OperatorSample(name, op, inputs, differentiable: Array(inputs.indices))
            }
            return [
                sample("linear layer", Op.Gemm(transB: true), [4]),
                sample("no bias", Op.Gemm(), nil),
                sample("transA, alpha", Op.Gemm(transA: true, alpha: 0.5), [1, 4]),
                sample("both transposed, beta", Op.Gemm(transA: true, transB: true, beta: -2), [2, 1]),
                sample("scalar bias", Op.Gemm(alpha: 2, beta: 0.5), []),
                sample("full bias", Op.Gemm(), [2, 4]),
                sample("empty", Op.Gemm(transB: true), [4], m: 0),
            ]
        }
    }
}

/// x Wᵀ + b over the last axis. Source: `torch.nn.functional.linear`.
///
/// - Parameters:
///   - x: `[..., inFeatures]`.
///   - weight: `[outFeatures, inFeatures]`.
///   - bias: `[outFeatures]`.
/// - Returns: `[..., outFeatures]`
/// - Throws: `ShapeError` when shapes or element types do not fit.
public func linear(_ x: Tensor, _ weight: Tensor, bias: Tensor? = nil) throws -> Tensor {
    guard weight.rank == 2, let features = x.shape.last, features == weight.shape[1] else {
        throw ShapeError("linear", "expected x [..., K] and weight [N, K], got \(x.shape) and \(weight.shape)")
    }
    let outer = Array(x.shape.dropLast())
    let rows = try x.reshaped([outer.reduce(1, *), features])
    let inputs = bias == nil ? [rows, weight] : [rows, weight, bias]
    return try apply(Op.Gemm(transB: true), inputs)[0].reshaped(outer + [weight.shape[0]])
}
