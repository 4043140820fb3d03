import Autograd
import TensorCore

extension Op {
    /// Limits every element to min ... max. ONNX Clip 1...; `torch.clamp`.
    ///
    /// The limits are attributes up to operator set 10, optional scalar inputs since. With min above max every element
    /// becomes max. The gradient is 1 between the limits, 0 at them, outside and for NaN, as PyTorch 2.15's; the limits get none.
    public struct Clip: CompositeOperator {
        public static let opType = "Clip"
        public var keepsImagesApart: Bool { true }
        public static var maximumInputs: Int { 3 }
        /// The limits that attributes give.
        public let min: Double?
        public let max: Double?

        /// Limits that inputs 1 and 2, when given, replace.
        public init(min: Double? = nil, max: Double? = nil) {
            self.min = min
            self.max = max
        }

        public init(_ node: NodeAttributes) throws {
            for name in ["min", "max"] where node.opset >= 11 && node.has(name) {
                throw node.unsupported(name, "is an input from version 11 of the operator set on")
            }
            min = try node.float("min")
            max = try node.float("max")
        }

        /// The limit in input `index`.
        private func limit(_ inputs: [NDArray?], _ index: Int, _ name: String) throws -> Double? {
            guard let value = optional(inputs, index) else { return nil }
            guard value.count == 1 else { throw failure("expected one number for '\(name)', got shape \(value.shape)") }
            return value.item()
        }

        public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation { batch.aligned(output: output) }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] { try likeFirst(inputs) }

        public func forward(_ inputs: [NDArray?]) throws -> [NDArray] {
            try Clamp(min: limit(inputs, 1, "min") ?? min, max: limit(inputs, 2, "max") ?? max)
                .forward([required(inputs, 0, "input")])
        }

        public func expand(_ inputs: [Tensor?]) throws -> [Tensor] {
            let arrays = inputs.map { $0?.array }
            let clamp = Clamp(min: try limit(arrays, 1, "min") ?? min, max: try limit(arrays, 2, "max") ?? max)
            return try apply(clamp, [required(inputs, 0, "input")])
        }

        public static func samples() throws -> [OperatorSample] {
            let x = OperatorSample.values([3, 5])
            let old = NodeAttributes(opType: opType, opset: 6, ["min": .float(-1), "max": .float(0.5)])
            let limits: [NDArray?] = [x, NDArray(scalar: -0.9), NDArray(scalar: 1.1)]
            return [
                OperatorSample("inputs", Op.Clip(), limits, differentiable: [0]),
                OperatorSample("only max", Op.Clip(), [x, nil, limits[2]], differentiable: [0]),
                OperatorSample("no limits", Op.Clip(), [x], differentiable: [0]),
                OperatorSample("crossed limits", Op.Clip(min: 1, max: -1), [x], differentiable: [0]),
                OperatorSample("integers", Op.Clip(min: -1, max: 2), [NDArray([-3, 0, 5])], differentiable: []),
                OperatorSample("opset 6", try Op.Clip(old), [x], differentiable: [0]),
            ]
        }
    }
}

/// x limited to fixed bounds.
struct Clamp: DifferentiableFunction {
    let min: Double?
    let max: Double?
    let name = "Clamp"
    var backwardName: String { "ClampBackward1" }

    func forward(_ inputs: [NDArray?]) throws -> [NDArray] {
        try inputs.compactMap { try $0?.clamped(min: min, max: max) }
    }

    func saved(for needs: IndexSet64) -> SavedValues { SavedValues(inputs: 0) }

    func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
        let rule = SlopeGradient(
            name: "ClampBackward", low: min ?? -.infinity, high: max ?? .infinity, isOpen: true)
        return try [gradOutputs[0].map { try apply(rule, $0, context.input(0).detach()) }]
    }
}

extension Tensor {
    /// Every element limited to `min` ... `max`. Source: `torch.clamp`.
    public func clamp(min: Double? = nil, max: Double? = nil) -> Tensor {
        checked(try apply(Clamp(min: min, max: max), self))
    }
}
