import Autograd
import Operators
import TensorCore

/// The largest element of each window of x `[N, C, H, W]`. Source: `torch.nn.MaxPool2d`.
public final class MaxPool2d: Module {
    public let kernelSize: Int
    public let stride: Int
    public let padding: Int
    public let dilation: Int
    /// Lets the last window reach past the edge.
    public let ceilMode: Bool

    /// The stride is the kernel's size unless given.
    public init(kernelSize: Int, stride: Int? = nil, padding: Int = 0, dilation: Int = 1, ceilMode: Bool = false) {
        self.kernelSize = kernelSize
        self.stride = stride ?? kernelSize
        self.padding = padding
        self.dilation = dilation
        self.ceilMode = ceilMode
    }

    public override func forward(_ x: Tensor) throws -> Tensor {
        try maxPool2d(
            x, kernelSize: kernelSize, stride: stride, padding: padding, dilation: dilation, ceilMode: ceilMode)
    }

    public override var extraDescription: String {
        "kernel_size=\(kernelSize), stride=\(stride), padding=\(padding), dilation=\(dilation), "
            + "ceil_mode=\(python(ceilMode))"
    }

    public override func emptyCopy() throws -> Module {
        MaxPool2d(
            kernelSize: kernelSize, stride: stride, padding: padding, dilation: dilation, ceilMode: ceilMode)
    }
}

/// The mean of each window of x `[N, C, H, W]`. Source: `torch.nn.AvgPool2d`.
public final class AvgPool2d: Module {
    public let kernelSize: Int
    public let stride: Int
    public let padding: Int
    /// Divides by the whole window at the edges too.
    public let countIncludePad: Bool

    /// The stride is the kernel's size unless given.
    public init(kernelSize: Int, stride: Int? = nil, padding: Int = 0, countIncludePad: Bool = true) {
        self.kernelSize = kernelSize
        self.stride = stride ?? kernelSize
        self.padding = padding
        self.countIncludePad = countIncludePad
    }

    public override func forward(_ x: Tensor) throws -> Tensor {
        try avgPool2d(
            x, kernelSize: kernelSize, stride: stride, padding: padding, countIncludePad: countIncludePad)
    }

    public override var extraDescription: String {
        "kernel_size=\(kernelSize), stride=\(stride), padding=\(padding)"
    }

    public override func emptyCopy() throws -> Module {
        AvgPool2d(
            kernelSize: kernelSize, stride: stride, padding: padding, countIncludePad: countIncludePad)
    }
}

/// The mean over all positions: x `[N, C, ...]` to `[N, C, 1, ...]`. Source: `torch.nn.AdaptiveAvgPool2d(1)`.
public final class AdaptiveAvgPool2d: Module {
    /// - Parameter outputSize: 1, the only size there is.
    public init(_ outputSize: Int = 1) { demand(outputSize == 1, "only an output size of 1 is supported") }

    public override func forward(_ x: Tensor) throws -> Tensor { try globalAveragePool(x) }

    public override var extraDescription: String { "output_size=1" }

    public override func emptyCopy() throws -> Module {
        AdaptiveAvgPool2d()
    }
}
