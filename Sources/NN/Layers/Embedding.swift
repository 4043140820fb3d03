import Autograd
import Operators
import TensorCore

/// A table of vectors, looked up by integers: x `[...]` of integers, y `[..., dim]`. Source: `torch.nn.Embedding`.
public final class Embedding: Module {
    /// `[count, dim]`
    public let weight: Parameter
    /// The row that stands for nothing: it is not trained.
    public let paddingIndex: Int?

    /// A table of `count` rows from the normal distribution; the row at `paddingIndex` is zero.
    ///
    /// - `random`: where the weights come from; by default the scope of `withRandomSeed`.
    public init(
        _ count: Int, _ dim: Int, paddingIndex: Int? = nil, dtype: DType = .float32, random: RandomSource? = nil
    ) {
        var random = random ?? RandomScope.next()
        var values = (0..<count * dim).map { _ in random.normal() }
        if let paddingIndex {
            demand((0..<count).contains(paddingIndex), "Embedding: paddingIndex \(paddingIndex) of \(count) rows")
            for column in 0..<dim { values[paddingIndex * dim + column] = 0 }
        }
        weight = Parameter(NDArray(values, shape: [count, dim]).converted(to: dtype))
        self.paddingIndex = paddingIndex
    }

    /// A table with given rows. Throws `ModuleError.invalidArgument` unless they are `[count, dim]`.
    public init(weight: Parameter, paddingIndex: Int? = nil) throws {
        self.weight = weight
        self.paddingIndex = paddingIndex
        super.init()
        try require(weight.rank == 2, "weight", "must be [count, dim], got \(weight.shape)")
    }

    public override var members: Members { ["weight": weight] }

    /// Throws `ShapeError` for a tensor of fractions or a number without a row.
    public override func forward(_ x: Tensor) throws -> Tensor {
        guard x.dtype.isInteger else {
            throw ShapeError("Embedding", "expected integers, got \(x.dtype): convert with to(.int64)")
        }
        let largest = weight.shape[0]
        if let wrong = x.integers().first(where: { $0 < 0 || $0 >= largest }) {
            throw ShapeError("Embedding", "number \(wrong) has no row: there are \(largest)")
        }
        let rows = try Op.Gather(axis: 0)([weight, x])[0]
        guard let paddingIndex else { return rows }
        return Tensor.where((x .== paddingIndex).unsqueeze(-1), rows.detach(), rows)
    }

    public override var extraDescription: String {
        "\(weight.shape[0]), \(weight.shape[1])" + (paddingIndex.map { ", padding_idx=\($0)" } ?? "")
    }

    public override func emptyCopy() throws -> Module {
        try Embedding(weight: weight.twin(), paddingIndex: paddingIndex)
    }
}
