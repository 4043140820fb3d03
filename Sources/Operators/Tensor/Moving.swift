import Autograd
import TensorCore

extension Tensor {
    /// The elements along each of `dims` in reverse order. Source: `torch.flip`.
    public func flip(_ dims: [Int]) -> Tensor {
        func flipped() throws -> Tensor {
            let axes = try normalized(dims, "flip")
            let bounds = SliceBounds(
                starts: axes.map { _ in -1 }, ends: axes.map { _ in .min }, axes: axes, steps: axes.map { _ in -1 })
            return try mapped(bounds)
        }
        return checked(try flipped())
    }
    public func flip(_ dims: Int...) -> Tensor { flip(dims) }

    /// The elements along `dim` moved on by `shift`; those that leave the end come in at the start. Source: `torch.roll`.
    public func roll(_ shift: Int, dim: Int) -> Tensor {
        func rolled() throws -> Tensor {
            let axis = try normalized([dim], "roll")[0]
            let size = shape[axis]
            guard size > 0 else { return self }
            let start = ((-shift % size) + size) % size
            guard start > 0 else { return self }
            let parts = [try sliced([start], [size], [axis]), try sliced([0], [start], [axis])]
            return try apply(Op.Concat(axis: axis), parts)[0]
        }
        return checked(try rolled())
    }

    /// The slices along `dim`, without that axis. Source: `torch.unbind`.
    public func unbind(dim: Int = 0) -> [Tensor] {
        func pieces() throws -> [Tensor] {
            let axis = try normalized([dim], "unbind")[0]
            return try (0..<shape[axis]).map { position in
                let leading = [AxisSelection](repeating: .range(start: nil, end: nil, step: 1), count: axis)
                return try mapped(Selection(leading + [.position(position)], of: shape))
            }
        }
        return checked(try pieces())
    }
}
