import Autograd
import TensorCore

/// A normalisation over the last axis of x + skip + bias: what the two forms of `com.microsoft` have in common.
///
/// Outputs: the normalised sum, its statistics, and the sum. x: `[N, S, H]`, skip: `[N, S, H]`, `[1, S, H]` or `[S, H]`.
protocol SkipNormalization: CompositeOperator {
    var outputCount: Int { get }
    /// Where the optional bias stands among the inputs.
    static var biasInput: Int { get }
    /// The normalised sum, its mean and its inverse deviation.
    func normalize(_ sum: Tensor, _ inputs: [Tensor?]) throws -> [Tensor]
    init(_ node: NodeAttributes) throws
}

extension SkipNormalization {
    public static var domain: String { Op.Microsoft.domain }
    public static var maximumOutputs: Int { 4 }

    public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation {
        batch.aligned(touching: [batch.outputs[output].count - 1], output: output)
    }

    public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] {
        let x = try required(inputs, 0, "input")
        guard !x.shape.isEmpty else { throw failure("expected an input of at least one axis") }
        let statistics = ValueInfo(x.dtype, reducedShape(x.shape, [x.shape.count - 1], keepDims: true))
        let whole = ValueInfo(x.dtype, x.shape)
        return Array([whole, statistics, statistics, whole].prefix(outputCount))
    }

    public func expand(_ inputs: [Tensor?]) throws -> [Tensor] {
        let x = try required(inputs, 0, "input")
        let (skip, bias) = (try required(inputs, 1, "skip"), optional(inputs, Self.biasInput))
        try checkNormalized(x, by: skip, bias)
        let sum = bias.map { x + skip + $0 } ?? (x + skip)
        return Array((try normalize(sum, inputs) + [sum]).prefix(outputCount))
    }

    static func skipSamples(_ factors: [NDArray]) throws -> [OperatorSample] {
        let (x, skip) = (OperatorSample.values([2, 2, 3]), OperatorSample.values([2, 3], seed: 1))
        let bias = OperatorSample.values([3], seed: 4)
        func op(_ outputs: Int) throws -> Self {
            try Self(NodeAttributes(opType: opType, opset: 1, outputCount: outputs, ["epsilon": .float(0.1)]))
        }
        let inputs = [x, skip] + factors
        return [
            OperatorSample("no bias", try op(1), inputs, differentiable: Array(inputs.indices)),
            OperatorSample("all outputs", try op(4), inputs + [bias], differentiable: Array(0...inputs.count)),
        ]
    }
}

extension Op.Microsoft {
    /// Layer normalisation of input + skip + bias. Source: ONNX Runtime, com.microsoft SkipLayerNormalization 1.
    public struct SkipLayerNormalization: SkipNormalization {
        public static let opType = "SkipLayerNormalization"
        public static var maximumInputs: Int { 5 }
        public static var parameterInputs: [Int: String] { [2: "weight", 3: "bias"] }
        static var biasInput: Int { 4 }
        let outputCount: Int
        private let epsilon: Double

        public init(_ node: NodeAttributes) throws {
            outputCount = node.outputCount
            epsilon = try node.float("epsilon", default: 1e-12)
        }

        func normalize(_ sum: Tensor, _ inputs: [Tensor?]) throws -> [Tensor] {
            let isPlain = outputCount == 1
            let norm = Op.LayerNormalization(epsilon: epsilon, outputCount: isPlain ? 1 : 3)
            return try norm([sum, required(inputs, 2, "gamma"), optional(inputs, 3)])
        }

        public static func samples() throws -> [OperatorSample] {
            try skipSamples([OperatorSample.values([3], in: 0.5...2), OperatorSample.values([3], seed: 2)])
        }
    }

    /// Normalisation by the root of the mean square of input + skip + bias.
    ///
    /// Source: ONNX Runtime, com.microsoft SkipSimplifiedLayerNormalization 1.
    public struct SkipSimplifiedLayerNormalization: SkipNormalization {
        public static let opType = "SkipSimplifiedLayerNormalization"
        public static var maximumInputs: Int { 4 }
        public static var parameterInputs: [Int: String] { [2: "weight"] }
        static var biasInput: Int { 3 }
        let outputCount: Int
        private let epsilon: Double

        public init(_ node: NodeAttributes) throws {
            outputCount = node.outputCount
            epsilon = try node.float("epsilon", default: 1e-12)
        }

        func normalize(_ sum: Tensor, _ inputs: [Tensor?]) throws -> [Tensor] {
            let norm = Op.SimplifiedLayerNormalization(epsilon: epsilon, outputCount: 2)
            let results = try norm([sum, required(inputs, 2, "gamma")])
            // There is no mean; its place is that of a zero.
            return [results[0], results[1] * 0, results[1]]
        }

        public static func samples() throws -> [OperatorSample] {
            try skipSamples([OperatorSample.values([3], in: 0.5...2)])
        }
    }
}
