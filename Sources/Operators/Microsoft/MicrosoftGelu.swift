import Autograd
import TensorCore

/// f(x + b), b optional: what the forms of GELU in `com.microsoft` have in common.
protocol BiasedActivation: CompositeOperator {
    func activate(_ x: Tensor) throws -> Tensor
}

extension BiasedActivation {
    public static var domain: String { Op.Microsoft.domain }

    public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation { batch.aligned() }

    public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] {
        let x = try required(inputs, 0, "X")
        return [ValueInfo(x.dtype, x.shape)]
    }

    public func expand(_ inputs: [Tensor?]) throws -> [Tensor] {
        let x = try required(inputs, 0, "X")
        guard let bias = optional(inputs, 1) else { return [try activate(x)] }
        guard bias.dtype == x.dtype, broadcastShape(x.shape, bias.shape) == x.shape else {
            throw failure("expected a bias that broadcasts to \(x.shape), got \(bias.shape) of \(bias.dtype)")
        }
        return [try activate(x + bias)]
    }

    static func biasedSamples(_ op: Self) -> [OperatorSample] {
        let x = OperatorSample.values([2, 3])
        let plain = OperatorSample("plain", op, [x], differentiable: [0])
        if maximumInputs == 1 { return [plain] }
        let bias = OperatorSample("bias", op, [x, OperatorSample.values([3], seed: 1)], differentiable: [0, 1])
        return [plain, bias]
    }
}

extension Op.Microsoft {
    /// y = x Φ(x). Source: ONNX Runtime, com.microsoft Gelu 1.
    public struct Gelu: BiasedActivation {
        public static let opType = "Gelu"
        public init(_ node: NodeAttributes) throws {}
        init() {}
        func activate(_ x: Tensor) throws -> Tensor { try apply(Op.Gelu(), x) }
        public static func samples() throws -> [OperatorSample] { biasedSamples(Self()) }
    }

    /// y = (x + b) Φ(x + b). Source: ONNX Runtime, com.microsoft BiasGelu 1.
    public struct BiasGelu: BiasedActivation {
        public static let opType = "BiasGelu"
        public static var maximumInputs: Int { 2 }
        public static var parameterInputs: [Int: String] { [1: "bias"] }
        public init(_ node: NodeAttributes) throws {}
        init() {}
        func activate(_ x: Tensor) throws -> Tensor { try apply(Op.Gelu(), x) }
        public static func samples() throws -> [OperatorSample] { biasedSamples(Self()) }
    }

    /// The approximation of GELU by a tangent, of x + b, b optional. Source: ONNX Runtime, com.microsoft FastGelu 1.
    public struct FastGelu: BiasedActivation {
        public static let opType = "FastGelu"
        public static var maximumInputs: Int { 2 }
        public static var parameterInputs: [Int: String] { [1: "bias"] }
        public init(_ node: NodeAttributes) throws {}
        init() {}
        func activate(_ x: Tensor) throws -> Tensor { try apply(Op.Gelu(tanh: true), x) }
        public static func samples() throws -> [OperatorSample] { biasedSamples(Self()) }
    }

    /// y = x · sigmoid(α x). Source: ONNX Runtime, com.microsoft QuickGelu 1.
    public struct QuickGelu: BiasedActivation {
        public static let opType = "QuickGelu"
        let alpha: Double
        public init(_ node: NodeAttributes) throws { alpha = try node.float("alpha", default: 1.702) }
        func activate(_ x: Tensor) throws -> Tensor { x * (x * alpha).sigmoid() }
        public static func samples() throws -> [OperatorSample] {
            biasedSamples(try Self(NodeAttributes(opType: opType, opset: 1)))
        }
    }
}
