import Autograd
import TensorCore

extension Op {
    /// Convolution (cross-correlation) over 1 to 3 spatial axes. ONNX Conv 1...; `torch.conv1d`, `conv2d`, `conv3d`.
    ///
    /// `y[n, m, o] = b[m] + sum over c, k of x[n, c, o * stride + k * dilation - pad] * w[m, c, k]`
    ///
    /// x: `[N, C, ...]`, w: `[M, C / groups, kernel...]`, b: `[M]` or omitted; y: `[N, M, ...]`.
    public struct Conv: PrimitiveOperator {
        public static let opType = "Conv"
        public static var maximumInputs: Int { 3 }
        public static var parameterInputs: [Int: String] { [1: "weight", 2: "bias"] }
        public var name: String { "Convolution" }
        let window: WindowAttributes
        let groups: Int

        /// - `pads`: at the beginning of every axis, then at the end of every axis.
        public init(
            strides: [Int]? = nil, pads: [Int]? = nil, dilations: [Int]? = nil, groups: Int = 1,
            autoPad: AutoPad = .notSet, kernelShape: [Int]? = nil
        ) {
            window = WindowAttributes(
                kernelShape: kernelShape, strides: strides, pads: pads, dilations: dilations, autoPad: autoPad)
            self.groups = groups
        }

        public init(_ geometry: ConvolutionGeometry) {
            self.init(
                strides: geometry.stride, pads: geometry.paddingBefore + geometry.paddingAfter,
                dilations: geometry.dilation, groups: geometry.groups)
        }

        public init(_ node: NodeAttributes) throws {
            window = try WindowAttributes(node)
            groups = try node.int("group", default: 1)
            guard (1...1 << 24).contains(groups) else { throw failure("attribute 'group' is out of range: \(groups)") }
        }

        /// The windows over `weight`, or nil when they depend on the size of the input (`auto_pad` SAME).
        public func fixedGeometry(weight: [Int]) -> ConvolutionGeometry? {
            guard window.autoPad == .notSet || window.autoPad == .valid, weight.count >= 3, weight[1] <= 1 << 32 else {
                return nil
            }
            // Large enough for any window; only the sizes of the output depend on it.
            let input = [1, weight[1] * groups] + [Int](repeating: 1 << 20, count: weight.count - 2)
            return try? geometry(input: input, weight: weight)
        }

        /// The windows over an input `[N, C, ...]` for a weight `[M, C / groups, kernel...]`, with no default left open.
        ///
        /// - Throws: `ShapeError` when the attributes do not fit the shapes.
        public func geometry(input: [Int], weight: [Int]) throws -> ConvolutionGeometry {
            guard input.count >= 3, input.count == weight.count else {
                throw failure("expected x [N, C, ...] and w [M, C / group, kernel...], got \(input) and \(weight)")
            }
            let resolved = try window.resolve(
                spatial: Array(input.dropFirst(2)), kernel: Array(weight.dropFirst(2)), Self.opType)
            return ConvolutionGeometry(
                stride: resolved.strides, paddingBefore: resolved.padsBegin, paddingAfter: resolved.padsEnd,
                dilation: resolved.dilations, groups: groups)
        }

        public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation { batch.rows(output: output) }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] {
            let (x, w) = (try required(inputs, 0, "X"), try required(inputs, 1, "W"))
            let shape = try geometry(input: x.shape, weight: w.shape).outputShape(input: x.shape, weight: w.shape)
            if let bias = optional(inputs, 2), bias.shape != [w.shape[0]] {
                throw failure("expected bias [\(w.shape[0])], got \(bias.shape)")
            }
            return [ValueInfo(x.dtype, shape)]
        }

        public func forward(_ inputs: [NDArray?]) throws -> [NDArray] {
            let (x, w) = (try required(inputs, 0, "X"), try required(inputs, 1, "W"))
            let geometry = try geometry(input: x.shape, weight: w.shape)
            return [try convolution(x, w, bias: optional(inputs, 2), geometry: geometry)]
        }

        public func saved(for needs: IndexSet64) -> SavedValues {
            // Bilinear: the gradient of each operand reads the other one; the bias reads none.
            var inputs: IndexSet64 = []
            if needs.contains(0) { inputs.insert(1) }
            if needs.contains(1) { inputs.insert(0) }
            return SavedValues(inputs: inputs)
        }

        public func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
            var gradients = [Tensor?](repeating: nil, count: context.inputCount)
            guard let g = gradOutputs[0] else { return gradients }
            let (inputShape, weightShape) = (context.inputShape(0), context.inputShape(1))
            let geometry = try geometry(input: inputShape, weight: weightShape)
            if context.needs(0) {
                let rule = ConvInputGradient(geometry: geometry, inputShape: inputShape)
                gradients[0] = try apply(rule, g, context.input(1))
            }
            if context.needs(1) {
                let rule = ConvWeightGradient(geometry: geometry, weightShape: weightShape)
                gradients[1] = try apply(rule, context.input(0), g)
            }
            if context.needs(2) { gradients[2] = try g.channelSum() }
            return gradients
        }

        public static func samples() throws -> [OperatorSample] {
            func sample(_ name: String, _ op: Op.Conv, _ x: [Int], _ w: [Int], bias: Bool = false) -> OperatorSample {
                let inputs: [NDArray?] = [
                    OperatorSample.values(x), OperatorSample.values(w, seed: 1),
                    bias ? OperatorSample.values([w[0]], seed: 2) : nil,
                ]
                return OperatorSample(name, op, inputs, differentiable: bias ? [0, 1, 2] : [0, 1])
            }
            return [
                sample("2-D", Op.Conv(pads: [1, 1, 1, 1]), [2, 2, 4, 3], [3, 2, 3, 3], bias: true),
                sample("1-D strided", Op.Conv(strides: [2], pads: [1, 0]), [2, 2, 6], [2, 2, 3], bias: true),
                sample("3-D", Op.Conv(), [1, 2, 2, 3, 3], [2, 2, 2, 2, 2]),
                sample("1x1 strided", Op.Conv(strides: [2, 2]), [2, 3, 3, 5], [2, 3, 1, 1]),
                sample(
                    "groups, dilation, asymmetric pads",
                    Op.Conv(strides: [2, 1], pads: [2, 0, 1, 1], dilations: [2, 1], groups: 2), [1, 4, 5, 4],
                    [4, 2, 2, 3], bias: true),
                sample("depthwise", Op.Conv(pads: [1, 1, 1, 1], groups: 3), [1, 3, 3, 3], [3, 1, 3, 3]),
                sample("same upper", Op.Conv(strides: [2, 2], autoPad: .sameUpper), [1, 1, 4, 5], [2, 1, 3, 2]),
                sample("same lower", Op.Conv(strides: [2, 2], autoPad: .sameLower), [1, 1, 4, 5], [2, 1, 3, 2]),
                sample("valid", Op.Conv(autoPad: .valid), [1, 1, 3, 3], [1, 1, 2, 2]),
                sample("empty batch", Op.Conv(), [0, 1, 3, 3], [2, 1, 2, 2], bias: true),
            ]
        }
    }
}

/// Convolution with a geometry that holds for every spatial axis. Source: `torch.conv2d`.
///
/// - `x`: `[N, C, ...]`, 1 to 3 spatial axes.
/// - `weight`: `[M, C / groups, kernel...]`.
/// - `bias`: `[M]`.
/// - Throws: `ShapeError` when shapes or element types do not fit.
public func convolution(
    _ x: Tensor, _ weight: Tensor, bias: Tensor? = nil, geometry: ConvolutionGeometry
) throws -> Tensor {
    try apply(Op.Conv(geometry), bias == nil ? [x, weight] : [x, weight, bias])[0]
}

/// Convolution of pictures x: `[N, C, H, W]` with weight: `[M, C / groups, kernelH, kernelW]`. Source: `torch.conv2d`.
public func conv2d(
    _ x: Tensor, _ weight: Tensor, bias: Tensor? = nil, stride: Int = 1, padding: Int = 0, dilation: Int = 1,
    groups: Int = 1
) throws -> Tensor {
    let geometry = ConvolutionGeometry(stride: stride, padding: padding, dilation: dilation, groups: groups)
    return try convolution(x, weight, bias: bias, geometry: geometry)
}
