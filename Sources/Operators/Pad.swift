import Autograd
import TensorCore

extension Op {
    /// Adds elements around the axes; negative pads remove them.
    ///
    /// Pads and value are attributes before operator set 11, inputs since; `axes` is an input since 18, `wrap` a mode since 19.
    /// ONNX Pad 1...; `torch.nn.functional.pad`.
    public struct Pad: CompositeOperator {
        public static let opType = "Pad"
        public static var maximumInputs: Int { 4 }
        /// What is added.
        public enum Mode: String, Sendable { case constant, reflect, edge, wrap }
        let mode: Mode
        let pads: [Int]?
        let value: Double

        /// Pads and value come from inputs unless `pads` is given: all beginnings, then all ends.
        public init(mode: Mode = .constant, pads: [Int]? = nil, value: Double = 0) {
            self.mode = mode
            self.pads = pads
            self.value = value
        }

        public init(_ node: NodeAttributes) throws {
            let name = try node.string("mode", default: "constant")
            guard let mode = Mode(rawValue: name) else { throw node.unsupported("mode", "unknown mode '\(name)'") }
            self.mode = mode
            pads = node.opset < 11 ? try node.ints(node.opset < 2 ? "paddings" : "pads") : nil
            value = node.opset < 11 ? try node.float("value", default: 0) : 0
        }

        private func padding(_ rank: Int, _ inputs: [NDArray?]) throws -> (before: [Int], after: [Int], mode: PadMode) {
            let pads = try pads ?? required(inputs, 1, "pads").integers()
            let axes = try optional(inputs, 3)?.integers().map { try axis($0, rank: rank) } ?? Array(0..<rank)
            guard pads.count == 2 * axes.count else {
                throw failure("expected \(2 * axes.count) pads for \(axes.count) axes, got \(pads)")
            }
            guard pads.allSatisfy({ $0 > -1 << 40 && $0 < 1 << 40 }) else {
                throw failure("pads \(pads) are too large")
            }
            var (before, after) = ([Int](repeating: 0, count: rank), [Int](repeating: 0, count: rank))
            for (index, axis) in axes.enumerated() {
                before[axis] = pads[index]
                after[axis] = pads[index + axes.count]
            }
            switch mode {
            case .constant:
                let given = try optional(inputs, 2).map { given in
                    guard given.count == 1 else { throw failure("expected one constant value, got \(given.shape)") }
                    return given.item()
                }
                return (before, after, .constant(given ?? value))
            case .reflect: return (before, after, .reflect)
            case .edge: return (before, after, .edge)
            case .wrap: return (before, after, .wrap)
            }
        }

        public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation {
            guard batch.hasPictures else { return .counted }
            guard let x = batch.operand(0), let found = x.relation.pictures,
                let (before, after, _) = try? padding(x.shape.count, batch.inputs.map { $0?.value }),
                before[found.axis] == 0,
                after[found.axis] == 0
            else { return .mixed }
            return batch.along()
        }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] {
            let x = try required(inputs, 0, "data")
            var known: [NDArray?] = [nil, nil, nil, nil]
            if pads == nil { known[1] = try constant(inputs, 1, "pads") }
            if optional(inputs, 3) != nil { known[3] = try constant(inputs, 3, "axes") }
            let (before, after, _) = try padding(x.shape.count, known)
            let shape = try x.shape.indices.map { try sum(of: [x.shape[$0], before[$0], after[$0]]) }
            guard shape.allSatisfy({ $0 >= 0 }) else { throw failure("pads remove more than there is of \(x.shape)") }
            return [ValueInfo(x.dtype, shape)]
        }

        public func expand(_ inputs: [Tensor?]) throws -> [Tensor] {
            let x = try required(inputs, 0, "data")
            let (before, after, mode) = try padding(x.rank, inputs.map { $0?.array })
            return [try apply(PadAround(before: before, after: after, mode: mode), x)]
        }

        public static func samples() throws -> [OperatorSample] {
            let x = OperatorSample.values([2, 3, 4])
            let pads = [0, 1, 2, 1, 0, -1]
            let modes = [Mode.constant, .reflect, .edge, .wrap].map {
                OperatorSample("\($0)", Op.Pad(mode: $0), [x, NDArray([0, 1, 2, 0, 2, 1])], differentiable: [0])
            }
            return modes + [
                OperatorSample("attribute", Op.Pad(pads: pads, value: 2.5), [x], differentiable: [0]),
                OperatorSample(
                    "axes and value", Op.Pad(),
                    [x, NDArray([1, 2, 0, -1]), NDArray(scalar: 1.5), NDArray([-1, 0])], differentiable: [0]),
            ]
        }
    }
}

/// `x` with elements added around it.
private struct PadAround: DifferentiableFunction {
    let before: [Int]
    let after: [Int]
    let mode: PadMode
    var name: String {
        switch mode {
        case .reflect: "ReflectionPad"
        case .edge: "ReplicationPad"
        case .constant, .wrap: "ConstantPadNd"
        }
    }

    func forward(_ inputs: [NDArray?]) throws -> [NDArray] {
        try inputs.compactMap { try $0?.padded(before: before, after: after, mode: mode) }
    }
    func saved(for needs: IndexSet64) -> SavedValues { .none }
    func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
        // The constant itself has no gradient: the rest is linear.
        var map = PadMap(before: before, after: after, mode: mode)
        if case .constant = mode { map = PadMap(before: before, after: after, mode: .constant(0)) }
        return [try gradOutputs[0].map { try apply(Adjoint(map: map, inputShape: context.inputShape(0)), $0) }]
    }
}

/// Padding without a constant: with zeros, or with what is there.
private struct PadMap: LinearMap {
    let before: [Int]
    let after: [Int]
    let mode: PadMode
    var name: String { "ConstantPadNd" }

    func apply(_ x: NDArray) throws -> NDArray { try x.padded(before: before, after: after, mode: mode) }
    func applyAdjoint(_ gradOutput: NDArray, inputShape: [Int]) throws -> NDArray {
        try NDArray.padGradient(gradOutput, inputShape: inputShape, before: before, after: after, mode: mode)
    }
}

extension Tensor {
    /// Adds elements around the last axes: `pad` holds pairs (before, after), the last axis first.
    ///
    /// Source: `torch.nn.functional.pad`.
    public func pad(_ pad: [Int], mode: Op.Pad.Mode = .constant, value: Double = 0) -> Tensor {
        demand(pad.count % 2 == 0 && pad.count <= 2 * rank, "pad: \(pad) does not fit shape \(shape)")
        var pads = [Int](repeating: 0, count: 2 * rank)
        for index in 0..<pad.count / 2 {
            pads[rank - 1 - index] = pad[2 * index]
            pads[2 * rank - 1 - index] = pad[2 * index + 1]
        }
        return checked(try Op.Pad(mode: mode, pads: pads, value: value)([self])[0])
    }
}
