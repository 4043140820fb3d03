import Autograd
import TensorCore

extension Op {
    /// Transposed convolution: the gradient of a convolution by its input. ONNX ConvTranspose 1...;
    /// `torch.conv_transpose2d`.
    ///
    /// x: `[N, C, ...]`, w: `[C, M / groups, kernel...]`, b: `[M]` or omitted; y: `[N, M, ...]` with
    /// `stride * (size - 1) + output_padding + (kernel - 1) * dilation + 1 - pads` elements along an axis.
    public struct ConvTranspose: CompositeOperator {
        public static let opType = "ConvTranspose"
        public static var maximumInputs: Int { 3 }
        public static var parameterInputs: [Int: String] { [1: "weight", 2: "bias"] }
        let window: WindowAttributes
        let groups: Int
        let outputPadding: [Int]?
        let outputShape: [Int]?

        /// - `pads`: at the beginning of every axis, then at the end of every axis.
        /// - `outputShape`: the spatial sizes wanted; padding follows from them.
        public init(
            strides: [Int]? = nil, pads: [Int]? = nil, dilations: [Int]? = nil, groups: Int = 1,
            autoPad: AutoPad = .notSet, kernelShape: [Int]? = nil, outputPadding: [Int]? = nil,
            outputShape: [Int]? = nil
        ) {
            window = WindowAttributes(
                kernelShape: kernelShape, strides: strides, pads: pads, dilations: dilations, autoPad: autoPad)
            self.groups = groups
            self.outputPadding = outputPadding
            self.outputShape = outputShape
        }

        public init(_ node: NodeAttributes) throws {
            window = try WindowAttributes(node)
            groups = try node.int("group", default: 1)
            outputPadding = try node.ints("output_padding")
            outputShape = try node.ints("output_shape")
        }

        /// The convolution that this one transposes, and the shape of its input, which is this one's output.
        private func plan(input: [Int], weight: [Int]) throws -> (geometry: ConvolutionGeometry, output: [Int]) {
            guard input.count >= 3, input.count == weight.count, input[1] == weight[0], groups > 0 else {
                throw failure("expected x [N, C, ...] and w [C, M / group, kernel...], got \(input) and \(weight)")
            }
            let rank = input.count - 2
            let (spatial, kernel) = (Array(input.dropFirst(2)), Array(weight.dropFirst(2)))
            var explicit = window
            explicit.autoPad = .notSet
            var resolved = try explicit.resolve(spatial: spatial, kernel: kernel, Self.opType)
            let extra = outputPadding ?? [Int](repeating: 0, count: rank)
            // ONNX counts from the last axes: an output shape may begin with N and C.
            let wanted = outputShape.map { Array($0.suffix(rank)) }
            let size = 0...Int(Int32.max)
            guard extra.count == rank, extra.allSatisfy(size.contains), wanted?.allSatisfy(size.contains) != false,
                wanted == nil || wanted?.count == rank
            else {
                throw failure("output_padding \(extra) or output_shape \(wanted ?? []) does not fit \(rank) axes")
            }
            guard spatial.allSatisfy(size.contains), weight[1] == 0 || groups <= .max / weight[1] else {
                throw failure("output of \(input) in \(groups) groups is too large")
            }
            var sizes: [Int] = []
            for axis in 0..<rank {
                let extent = (kernel[axis] - 1) * resolved.dilations[axis] + 1
                let (steps, overflow) = resolved.strides[axis].multipliedReportingOverflow(by: spatial[axis] - 1)
                let (full, tooLarge) = steps.addingReportingOverflow(extra[axis] + extent)
                guard !overflow, !tooLarge else { throw failure("output of \(input) is too large") }
                var length = full - resolved.padsBegin[axis] - resolved.padsEnd[axis]
                if wanted != nil || window.autoPad == .sameUpper || window.autoPad == .sameLower {
                    length = wanted?[axis] ?? spatial[axis] * resolved.strides[axis]
                    let total = max(0, full - length)
                    let half = total / 2
                    resolved.padsBegin[axis] = window.autoPad == .sameUpper ? half : total - half
                    resolved.padsEnd[axis] = total - resolved.padsBegin[axis]
                }
                guard length > 0 else {
                    throw failure("output of \(input) would have \(length) elements along an axis")
                }
                sizes.append(length)
            }
            let geometry = ConvolutionGeometry(
                stride: resolved.strides, paddingBefore: resolved.padsBegin, paddingAfter: resolved.padsEnd,
                dilation: resolved.dilations, groups: groups)
            return (geometry, [input[0], weight[1] * groups] + sizes)
        }

        public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation { batch.rows(output: output) }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] {
            let (x, w) = (try required(inputs, 0, "X"), try required(inputs, 1, "W"))
            return [ValueInfo(x.dtype, try plan(input: x.shape, weight: w.shape).output)]
        }

        public func expand(_ inputs: [Tensor?]) throws -> [Tensor] {
            let (x, w) = (try required(inputs, 0, "X"), try required(inputs, 1, "W"))
            let (geometry, output) = try plan(input: x.shape, weight: w.shape)
            let y = try apply(ConvInputGradient(geometry: geometry, inputShape: output), x, w)
            guard let bias = optional(inputs, 2) else { return [y] }
            return [try apply(ChannelAffine(), y, nil, bias)]
        }

        public static func samples() throws -> [OperatorSample] {
            func sample(
                _ name: String, _ op: Op.ConvTranspose, _ x: [Int], _ w: [Int], bias: Int? = nil
            ) -> OperatorSample {
                var inputs = [OperatorSample.values(x), OperatorSample.values(w, seed: 1)]
                if let bias { inputs.append(OperatorSample.values([bias], seed: 2)) }
                return OperatorSample(name, op, inputs, differentiable: Array(inputs.indices))
            }
            return [
                sample("2-D", Op.ConvTranspose(), [1, 2, 3, 3], [2, 2, 2, 3], bias: 2),
                sample("1-D strided", Op.ConvTranspose(strides: [2], pads: [1, 0]), [2, 1, 4], [1, 2, 3]),
                sample(
                    "groups, output padding",
                    Op.ConvTranspose(
                        strides: [3, 2], pads: [1, 0, 0, 1], dilations: [1, 2], groups: 2, outputPadding: [1, 1]),
                    [1, 4, 2, 2], [4, 1, 3, 2], bias: 2),
                sample(
                    "output shape", Op.ConvTranspose(strides: [3, 2], outputShape: [10, 8]), [1, 1, 3, 3],
                    [1, 2, 3, 3]),
                sample("same", Op.ConvTranspose(strides: [2, 2], autoPad: .sameUpper), [1, 1, 3, 3], [1, 2, 3, 3]),
            ]
        }
    }
}

/// Transposed convolution of pictures x: `[N, C, H, W]` with weight: `[C, M / groups, kernelH, kernelW]`.
///
/// Source: `torch.conv_transpose2d`.
public func convTranspose2d(
    _ x: Tensor, _ weight: Tensor, bias: Tensor? = nil, stride: Int = 1, padding: Int = 0, outputPadding: Int = 0,
    dilation: Int = 1, groups: Int = 1
) throws -> Tensor {
    let op = Op.ConvTranspose(
        strides: [stride, stride], pads: [padding, padding, padding, padding], dilations: [dilation, dilation],
        groups: groups, outputPadding: [outputPadding, outputPadding])
    return try op([x, weight, bias])[0]
}
