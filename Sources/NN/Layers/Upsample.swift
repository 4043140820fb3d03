import Autograd
import Operators
import TensorCore

/// Pictures or sequences `[N, C, ...]` in another size. Source: `torch.nn.Upsample`.
public final class Upsample: Module {
    public let size: [Int]?
    public let scaleFactor: Double
    public let mode: Interpolation

    /// Enlarges each axis behind the channels by a factor.
    public init(scaleFactor: Double, mode: Interpolation = .nearest) {
        size = nil
        self.scaleFactor = scaleFactor
        self.mode = mode
    }

    /// Brings the axes behind the channels to a size.
    public init(size: [Int], mode: Interpolation = .nearest) {
        self.size = size
        scaleFactor = 1
        self.mode = mode
    }

    public override func forward(_ x: Tensor) throws -> Tensor {
        if let size { return try interpolate(x, size: size, mode: mode) }
        return try interpolate(x, scaleFactor: scaleFactor, mode: mode)
    }

    public override var extraDescription: String {
        let name = if case .nearest = mode { "nearest" } else { "linear" }
        return (size.map { "size=\(tuple($0))" } ?? "scale_factor=\(number(scaleFactor))") + ", mode='\(name)'"
    }

    public override func emptyCopy() throws -> Module {
        size.map { Upsample(size: $0, mode: mode) } ?? Upsample(scaleFactor: scaleFactor, mode: mode)
    }
}
