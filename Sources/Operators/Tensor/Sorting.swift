import Autograd
import TensorCore

extension Tensor {
    /// The elements along `dim` in order, and where each one was; NaN is the largest, equal elements keep their order.
    ///
    /// Source: `torch.sort` with `stable=True`.
    public func sort(dim: Int = -1, descending: Bool = false) -> (values: Tensor, indices: Tensor) {
        func sorted() throws -> (Tensor, Tensor) {
            if rank == 0 { return (clone(), Tensor(NDArray(scalar: 0 as Int64))) }
            let axis = try normalized([dim], "sort")[0]
            let indices = try array.ordered(axis: axis, count: shape[axis], largestFirst: descending)
            return (try mapped(ElementGather(indices: indices, axis: axis)), Tensor(indices))
        }
        return checked(try sorted())
    }

    /// Where the elements of `sort` were. Source: `torch.argsort` with `stable=True`.
    public func argsort(dim: Int = -1, descending: Bool = false) -> Tensor {
        noGrad { sort(dim: dim, descending: descending).indices }
    }
}
