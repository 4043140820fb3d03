import CKernels

/// How a convolution's window moves: stride, dilation, zero padding and groups, for 1 to 3 spatial axes.
///
/// With an input of `I` elements along an axis and a kernel of `K`, the output has
/// `(I + paddingBefore + paddingAfter - dilation * (K - 1) - 1) / stride + 1`, rounded down.
public struct ConvolutionGeometry: Sendable, Hashable {
    public var stride: [Int]
    public var paddingBefore: [Int]
    public var paddingAfter: [Int]
    public var dilation: [Int]
    public var groups: Int

    /// Every array has one number per spatial axis.
    public init(stride: [Int], paddingBefore: [Int], paddingAfter: [Int], dilation: [Int], groups: Int = 1) {
        self.stride = stride
        self.paddingBefore = paddingBefore
        self.paddingAfter = paddingAfter
        self.dilation = dilation
        self.groups = groups
    }

    /// The same numbers along every axis, as PyTorch's `conv2d(stride:padding:dilation:groups:)`.
    public init(spatialRank: Int = 2, stride: Int = 1, padding: Int = 0, dilation: Int = 1, groups: Int = 1) {
        func each(_ value: Int) -> [Int] { [Int](repeating: value, count: spatialRank) }
        self.init(
            stride: each(stride), paddingBefore: each(padding), paddingAfter: each(padding), dilation: each(dilation),
            groups: groups)
    }

    public var spatialRank: Int { stride.count }

    /// Shape of `convolution(x, w)`: `[N, outChannels, ...]`.
    ///
    /// - Parameters:
    ///   - input: shape of x, `[N, C, spatial...]`.
    ///   - weight: shape of w, `[outChannels, C / groups, kernel...]`.
    /// - Throws: `ShapeError` when they do not fit each other or this geometry.
    public func outputShape(input: [Int], weight: [Int]) throws -> [Int] {
        func fail(_ reason: String) -> ShapeError { ShapeError("Conv", reason) }
        let rank = spatialRank
        guard
            (1...3).contains(rank),
            [paddingBefore.count, paddingAfter.count, dilation.count].allSatisfy({ $0 == rank })
        else {
            throw fail("stride, padding and dilation need one number for each of 1 to 3 spatial axes, got \(self)")
        }
        guard input.count == rank + 2, weight.count == rank + 2 else {
            throw fail("expected x [N, C, \(rank) spatial axes] and w of as many axes, got \(input) and \(weight)")
        }
        let positive = 1...Int(Int32.max)
        guard (stride + dilation + [groups]).allSatisfy(positive.contains),
            (paddingBefore + paddingAfter).allSatisfy({ $0 == 0 || positive.contains($0) })
        else { throw fail("stride, dilation and groups must be positive and padding not negative, got \(self)") }
        let (channels, tooMany) = weight[1].multipliedReportingOverflow(by: groups)
        guard !tooMany, input[1] == channels, channels > 0, weight[0] > 0, weight[0] % groups == 0 else {
            throw fail("\(input[1]) input channels in \(groups) groups do not fit w \(weight) [M, C / groups, kernel]")
        }
        var output = [input[0], weight[0]]
        for axis in 0..<rank {
            let (size, kernel) = (input[axis + 2], weight[axis + 2])
            let (reach, overflow) = (kernel - 1).multipliedReportingOverflow(by: dilation[axis])
            let (padded, tooLarge) = size.addingReportingOverflow(paddingBefore[axis] + paddingAfter[axis])
            guard kernel >= 1, !overflow, !tooLarge, padded > reach else {
                throw fail("kernel \(weight.dropFirst(2)) is larger than the padded input \(input.dropFirst(2))")
            }
            output.append((padded - reach - 1) / stride[axis] + 1)
        }
        return output
    }

    /// The C kernels' view: three spatial axes, leading ones of size 1 where there are fewer.
    func kernelShape(input: [Int], weight: [Int]) throws -> ft_conv_shape {
        let output = try outputShape(input: input, weight: weight)
        func triple(_ values: some Sequence<Int>, filler: Int) -> (Int, Int, Int) {
            let all = [Int](repeating: filler, count: 3 - spatialRank) + values
            return (all[0], all[1], all[2])
        }
        return ft_conv_shape(
            batch: input[0], in_channels: input[1], out_channels: weight[0], groups: groups,
            input: triple(input.dropFirst(2), filler: 1), kernel: triple(weight.dropFirst(2), filler: 1),
            stride: triple(stride, filler: 1), dilation: triple(dilation, filler: 1),
            pad: triple(paddingBefore, filler: 0), output: triple(output.dropFirst(2), filler: 1))
    }
}

/// What is applied to a convolution's sums before they are stored.
public enum FusedActivation: Sendable, Hashable {
    case none
    /// `max(y, 0)`
    case relu
    /// `min(max(y, low), high)`
    case clip(low: Double, high: Double)
}
