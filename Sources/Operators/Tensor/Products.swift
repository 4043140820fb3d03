import Autograd
import TensorCore

extension Tensor {
    /// Every product of an element of this vector `[N]` and one of `other` `[M]`: `[N, M]`. Source: `torch.outer`.
    public func outer(_ other: Tensor) -> Tensor {
        demand(rank == 1 && other.rank == 1, "outer: expected two vectors, got \(shape) and \(other.shape)")
        return reshape(shape[0], 1) * other.reshape(1, other.shape[0])
    }
}
