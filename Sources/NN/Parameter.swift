import Autograd
import Operators
import TensorCore

/// What a module is made of: `Parameter`, `Buffer` and `Module`, and nothing else.
public protocol ModuleMember: AnyObject {}

/// A weight that a module learns: a leaf that requires gradients unless told otherwise.
///
/// A plain tensor whose flag is set is not a parameter: modules do not list it and optimizers never see it. Frozen is a
/// parameter whose `requiresGrad` is false. Source: `torch.nn.Parameter`.
public final class Parameter: Tensor, ModuleMember {
    /// Names under which patterns find this parameter beside its path: the initializer of an ONNX file (`onnx::Conv_193`),
    /// the scope of its node (`layer4.1.conv2.weight`).
    public var aliases: [String] = []

    /// A parameter holding `array`, which must be of a floating-point type.
    public init(_ array: NDArray, requiresGrad: Bool = true) {
        demand(array.dtype.isFloatingPoint, "a parameter must be floating-point, got \(array.dtype)")
        super.init(array)
        setFlag(requiresGrad)
    }

    /// A parameter with a copy of `tensor`'s value, without its history.
    public convenience init(_ tensor: Tensor, requiresGrad: Bool = true) {
        self.init(tensor.array, requiresGrad: requiresGrad)
    }

    /// A `float32` parameter from Swift numbers: `Parameter([1, 2])`.
    public convenience init(_ numbers: some NestedNumbers) { self.init(Tensor(numbers)) }

    public override var role: String? { "Parameter" }

    private func setFlag(_ value: Bool) {
        do {
            try requiresGrad_(value)
        } catch {
            mistake("\(error)")
        }
    }
}

/// A value that belongs to a module's state but is not learned: running statistics, counters. Never requires gradients on
/// its own. Source: `torch.nn.Buffer`.
public final class Buffer: Tensor, ModuleMember {
    /// False for what can be made again, such as a mask: state dicts leave it out.
    public let isPersistent: Bool

    public override init(_ array: NDArray) {
        isPersistent = true
        super.init(array)
    }

    /// - `persistent`: whether state dicts hold it.
    public init(_ array: NDArray, persistent: Bool) {
        isPersistent = persistent
        super.init(array)
    }

    public override var role: String? { "Buffer" }
}
