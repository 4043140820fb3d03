import Autograd
import TensorCore

extension Op {
    /// y = x for x > 0, slope · x otherwise, with a learnt slope. ONNX PRelu 1...; `torch.nn.functional.prelu`.
    ///
    /// slope broadcasts to x: `[N, C, ...]`. Before operator set 7 a slope of C numbers goes with the channels.
    public struct PRelu: CompositeOperator {
        public static let opType = "PRelu"
        public var keepsImagesApart: Bool { true }
        public static var maximumInputs: Int { 2 }
        public static var parameterInputs: [Int: String] { [1: "weight"] }
        let isPerChannel: Bool

        /// - Parameter isPerChannel: a one-dimensional slope has one number per channel of x.
        public init(isPerChannel: Bool = false) { self.isPerChannel = isPerChannel }
        public init(_ node: NodeAttributes) throws { self.init(isPerChannel: node.opset < 7) }

        /// The slope's shape, as it broadcasts to x.
        private func aligned(_ slope: [Int], to x: [Int]) throws -> [Int] {
            let isVector = isPerChannel && slope.count == 1 && slope != [1] && x.count > 1
            let shape = isVector ? slope + [Int](repeating: 1, count: x.count - 2) : slope
            guard broadcastShape(x, shape) == x else { throw failure("slope \(slope) does not broadcast to \(x)") }
            return shape
        }

        public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation { batch.aligned(output: output) }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] {
            _ = try aligned(required(inputs, 1, "slope").shape, to: required(inputs, 0, "X").shape)
            return try likeFirst(inputs)
        }

        public func expand(_ inputs: [Tensor?]) throws -> [Tensor] {
            let (x, slope) = (try required(inputs, 0, "X"), try required(inputs, 1, "slope"))
            let weight = try slope.reshaped(aligned(slope.shape, to: x.shape))
            return [try apply(LearntSlope(), x, weight.expand(x.shape))]
        }

        public static func samples() throws -> [OperatorSample] {
            let x = OperatorSample.values([2, 3, 2])
            let slope = OperatorSample.values([3, 1], in: 0.1...0.9, seed: 1)
            return [
                OperatorSample("broadcast", Op.PRelu(), [x, slope], differentiable: [0, 1]),
                OperatorSample("one slope", Op.PRelu(), [x, slope.rows(0..<1).reshaped([1])], differentiable: [0, 1]),
                OperatorSample(
                    "opset 6", try Op.PRelu(NodeAttributes(opType: opType, opset: 6)), [x, slope.reshaped([3])],
                    differentiable: [0, 1]),
            ]
        }
    }
}

/// x for x > 0, w · x otherwise, of one shape; the derivative at 0 is w, and constant, as PyTorch's.
private struct LearntSlope: DifferentiableFunction {
    let name = "PreluKernel"

    func forward(_ inputs: [NDArray?]) throws -> [NDArray] {
        guard let x = inputs[0], let weight = inputs[1] else { return [] }
        let (values, slopes) = (Tensor(x), Tensor(weight))
        return [Tensor.where(values .> 0, values, slopes * values).array]
    }

    func saved(for needs: IndexSet64) -> SavedValues { SavedValues(inputs: [0, 1]) }

    func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
        guard let g = gradOutputs[0] else { return [nil, nil] }
        let (x, weight) = (try context.input(0), try context.input(1))
        let slope = Tensor.where(x .== 0, weight.detach(), weight)
        return [
            context.needs(0) ? Tensor.where(x .> 0, g, g * slope) : nil,
            context.needs(1) ? Tensor.where(x .>= 0, 0, g * x) : nil,
        ]
    }
}

extension Tensor {
    /// x for x > 0, weight · x otherwise; weight: one number, or one per channel of `[N, C, ...]`.
    ///
    /// Source: `torch.nn.functional.prelu`.
    public func prelu(_ weight: Tensor) -> Tensor { checked(try Op.PRelu(isPerChannel: true)([self, weight])[0]) }
}
