import Autograd
import Operators
import TensorCore
import TestSupport
import Testing

/// The functions of `Tensor` that are no operator of ONNX, and the rules that they share.
@Suite struct TensorFunctions {
    private let grid = Tensor.arange(12).reshape(3, 4)

    // MARK: Creation and conversion

    @Test func numbersBecomeFloat32() {
        #expect(Tensor(3).shape == [])
        #expect(Tensor([1, 2]).dtype == .float32)
        #expect(Tensor([[1.5], [2]]).shape == [2, 1])
        #expect(Tensor([true, false]).dtype == .bool)
        #expect(Tensor([1, 2], dtype: .int64).integers() == [1, 2])
        #expect(Tensor(0.1, dtype: .float64).item() == 0.1)
        #expect(Tensor([[Int]]()).shape == [0])
    }

    @Test func unevenArraysAreRefused() {
        #expect(throws: ShapeError.self) { try NDArray(nested: [[1, 2], [3]]) }
    }

    @Test func arraysComeBackNested() {
        let t = Tensor([[1, 2, 3], [4, 5, 6]])
        #expect(t.array(as: [[Float]].self) == [[1, 2, 3], [4, 5, 6]])
        #expect(t.array(as: [[Int]].self) == [[1, 2, 3], [4, 5, 6]])
        #expect(Tensor(2.5).array(as: Double.self) == 2.5)
        #expect(t.sum().item() == 21)
    }

    @Test func creation() {
        #expect(Tensor.zeros(2, 3).doubles() == [0, 0, 0, 0, 0, 0])
        #expect(Tensor.full([2], 7, dtype: .int64).integers() == [7, 7])
        #expect(Tensor.arange(2, 8, step: 3).integers() == [2, 5])
        #expect(Tensor.arange(0.0, 1.0, step: 0.25).doubles() == [0, 0.25, 0.5, 0.75])
        #expect(Tensor.eye(2, 3).doubles() == [1, 0, 0, 0, 1, 0])
        #expect(Tensor.onesLike(grid).dtype == .int64)
    }

    @Test func randomNumbersDependOnTheSeedAlone() {
        let (a, b) = (Tensor.randn(1_000, seed: 3), Tensor.randn(1_000, seed: 3))
        #expect(a.array.isBitIdentical(to: b.array))
        #expect(!a.array.isBitIdentical(to: Tensor.randn(1_000, seed: 4).array))
        #expect(abs(a.mean().item()) < 0.1)
        #expect(abs(a.std().item() - 1) < 0.1)
        let uniform = Tensor.rand(1_000, seed: 5)
        #expect(uniform.min().item() >= 0 && uniform.max().item() < 1)
    }

    // MARK: Types of expressions

    @Test func typesOfMixedExpressions() {
        let (f32, f64) = (Tensor([1.5]), Tensor([1.5], dtype: .float64))
        let (i64, i32, flag) = (Tensor([2], dtype: .int64), Tensor([2], dtype: .int32), Tensor([true]))
        #expect((f32 + f64).dtype == .float64)
        #expect((f32 + i64).dtype == .float32)
        #expect((i32 + i64).dtype == .int64)
        #expect((flag + i32).dtype == .int32)
        #expect((i64 / i64).dtype == .float32)
        #expect((i64 + 1).dtype == .int64)
        #expect((i64 * 0.5).dtype == .float32)
        #expect((f64 * 2).dtype == .float64)
        #expect((flag + 1).dtype == .int64)
        // A scalar decides the kind of number, not its size.
        #expect((f32 + Tensor(1, dtype: .float64)).dtype == .float32)
        #expect((i64 + Tensor(1.5, dtype: .float64)).dtype == .float64)
        #expect(DType.promoted(.uint8, .int8) == .int16)
        #expect(DType.promoted(.float16, .bfloat16) == .float32)
    }

    @Test func operatorsAndPrecedence() {
        let x = Tensor([1, 2, 3])
        #expect((2 + x * x ** 2 - 1).doubles() == [2, 9, 28])
        #expect((2 ** x).doubles() == [2, 4, 8])
        #expect((-x ** 2).doubles() == [1, 4, 9])
        #expect((6 / x).doubles() == [6, 3, 2])
        #expect((x % 2).doubles() == [1, 0, 1])
        #expect((x .> 1).integers() == [0, 1, 1])
        #expect((2 .>= x).integers() == [1, 1, 0])
        #expect((x .!= 2).integers() == [1, 0, 1])
        #expect((.!(x .== 2)).integers() == [1, 0, 1])
        #expect(((x .> 1) .& (x .< 3)).integers() == [0, 1, 0])
        #expect(x.isEqual(to: Tensor([1, 2, 3])) && !x.isEqual(to: Tensor([1, 2])))
    }

    // MARK: Indexing

    @Test func indexing() {
        #expect(grid[0].integers() == [0, 1, 2, 3])
        #expect(grid[-1, -1].item() == 11)
        #expect(grid[0..<2, 1...].array(as: [[Int]].self) == [[1, 2, 3], [5, 6, 7]])
        #expect(grid[..<1].shape == [1, 4])
        #expect(grid[...1, ...(-1)].shape == [2, 4])
        #expect(grid[(-2)..., 0].integers() == [4, 8])
        #expect(grid[..., 1].integers() == [1, 5, 9])
        #expect(grid[.all, 1].integers() == [1, 5, 9])
        #expect(grid[1, (0...).by(2)].integers() == [4, 6])
        #expect(grid[0, (0...).by(-1)].integers() == [0])
        #expect(grid[0, AxisSelection.all.by(-1)].integers() == [3, 2, 1, 0])
        #expect(grid[.newAxis, 0].shape == [1, 4])
        #expect(grid[0..<100].shape == [3, 4])
        #expect(grid[2..<2].shape == [0, 4])
        #expect(grid[Tensor([2, 0], dtype: .int64)].integers() == [8, 9, 10, 11, 0, 1, 2, 3])
        #expect(grid[grid .> 8].integers() == [9, 10, 11])
        #expect(grid[indices: [1, 0..<2]].integers() == [4, 5])
    }

    @Test func assigningParts() throws {
        let t = Tensor.zeros(2, 3)
        t[0] = Tensor([1, 2, 3])
        t[1, 0..<2] = Tensor(9)
        t[..., 2] += Tensor([10, 20])
        #expect(t.array(as: [[Int]].self) == [[1, 2, 13], [9, 9, 20]])
        #expect(t.version == 3)
        let copy = t.array
        try t.assign(Tensor(0), at: 0...)
        #expect(copy.doubles() == [1, 2, 13, 9, 9, 20])
        #expect(throws: ShapeError.self) { try t.assign(Tensor([1, 2]), at: 0) }
        #expect(throws: ShapeError.self) { try t.assign(Tensor(1), at: 2) }
        #expect(throws: ShapeError.self) { try t.assign(Tensor(1), at: 0, 0, 0) }
    }

    @Test func gradientsOfIndexing() throws {
        let x = NDArray((0..<12).map { Double($0) / 7 }, shape: [3, 4])
        try checkGradients([x]) { [$0[0][1, 0..<3] ** 2, $0[0][..., -1] ** 3, $0[0][(0...).by(2)].exp()] }
        try checkGradients([x]) { [$0[0][Tensor([2, 0, 2], dtype: .int64)] ** 2, $0[0][$0[0] .> 0.8] ** 2] }
        try checkGradients([x, NDArray([0.5, 0.6])]) { leaves in
            let y = leaves[0] * 2
            try y.assign(leaves[1] ** 2, at: 1, 1..<3)
            return [y ** 2]
        }
    }

    // MARK: Shapes

    @Test func shapes() {
        #expect(grid.transpose(0, 1)[0].integers() == [0, 4, 8])
        #expect(grid.t().shape == [4, 3])
        #expect(grid.permute(-1, 0).shape == [4, 3])
        #expect(grid.unsqueeze(-1).shape == [3, 4, 1])
        #expect(grid.unsqueeze(0).squeeze().shape == [3, 4])
        #expect(grid.squeeze(0).shape == [3, 4])
        #expect(Tensor([[1], [2]]).expand(3, -1, 2).shape == [3, 2, 2])
        #expect(Tensor([1, 2]).repeat(2, 2).array(as: [[Int]].self) == [[1, 2, 1, 2], [1, 2, 1, 2]])
        #expect(grid.split(3, dim: 1).map(\.shape) == [[3, 3], [3, 1]])
        #expect(grid.split([1, 2]).map(\.shape) == [[1, 4], [2, 4]])
        #expect(grid.chunk(2).map(\.shape) == [[2, 4], [1, 4]])
        #expect(grid.narrow(1, -2, 2)[0].integers() == [2, 3])
        #expect(stack([grid[0], grid[1]], dim: -1).shape == [4, 2])
        #expect(cat([grid, grid], dim: -1).shape == [3, 8])
        #expect(grid.pad([1, 0]).shape == [3, 5])
        #expect(grid.triu()[1].integers() == [0, 5, 6, 7])
        #expect(grid.tril(-1)[1].integers() == [4, 0, 0, 0])
    }

    // MARK: Reductions

    @Test func reductions() {
        let x = Tensor([[1, 5, 5], [2, 0, -1]])
        #expect(x.sum(dim: [0, -1]).item() == 12)
        #expect(x.mean(dim: 1, keepdim: true).shape == [2, 1])
        #expect(abs(x.var(dim: 1).doubles()[0] - 16.0 / 3) < 1e-6)
        #expect(x.max(dim: 1).indices.integers() == [1, 0])
        #expect(x.min(dim: 0, keepdim: true).values.array(as: [[Int]].self) == [[1, 0, -1]])
        #expect(x.argmax().item() == 1)
        #expect(x.argmin(dim: -1).integers() == [0, 2])
        #expect(x.prod(dim: 0).doubles() == [2, 0, -5])
        #expect((x .> 1).sum().dtype == .int64)
        #expect(Tensor([3, 4]).norm().item() == 5)
        #expect(x.cumsum(dim: 1)[0].doubles() == [1, 6, 11])
        #expect(x.topk(2).indices.array(as: [[Int]].self) == [[1, 2], [0, 1]])
    }

    @Test func tiesInMaxima() throws {
        let x = Tensor([1, 3, 3], requiresGrad: true)
        try x.max().backward()
        #expect(x.grad?.doubles() == [0, 0.5, 0.5])
        x.grad = nil
        try x.max(dim: 0).values.backward()
        #expect(x.grad?.doubles() == [0, 1, 0])
        x.grad = nil
        try x.maximum(3).sum().backward()
        #expect(x.grad?.doubles() == [0, 0.5, 0.5])
    }

    // MARK: In-place operations

    @Test func inPlace() throws {
        let x = Tensor([1, -2, 3])
        try x.add_(1).sub_(Tensor([1, 1, 1]), alpha: 2).mul_(2).div_(4)
        #expect(x.doubles() == [0, -1.5, 1])
        try x.relu_().clamp_(max: 0.5)
        #expect(x.doubles() == [0, 0, 0.5])
        try x.fill_(2).copy_(Tensor([7], dtype: .int64))
        #expect(x.doubles() == [7, 7, 7])
        #expect(x.version == 8)
        #expect(try x.zero_().exp_().doubles() == [1, 1, 1])
        let n = Tensor([1, 2], dtype: .int64)
        #expect(throws: ShapeError.self) { try n.add_(0.5) }
        #expect(throws: ShapeError.self) { try n.div_(2) }
        #expect(throws: ShapeError.self) { try Tensor([1]).add_(Tensor([1, 2])) }
        #expect(n.integers() == [1, 2])
    }

    // MARK: Names of recorded operations

    @Test func recordedNamesArePyTorchs() {
        let x = Tensor([[1, 2], [3, 4]], requiresGrad: true)
        let cases: [(Tensor, String)] = [
            (x + 1, "AddBackward0"), (x - 1, "SubBackward0"), (x / 2, "DivBackward0"), (-x, "NegBackward0"),
            (x ** 2, "PowBackward0"), (x.sum(), "SumBackward0"), (x.sum(dim: 0), "SumBackward1"),
            (x.mean(), "MeanBackward0"), (x.mean(dim: 0), "MeanBackward1"), (x.reshape(4), "ViewBackward0"),
            (x.permute(1, 0), "PermuteBackward0"), (x.transpose(0, 1), "TransposeBackward0"), (x.t(), "TBackward0"),
            (x.unsqueeze(0), "UnsqueezeBackward0"), (x[0], "SelectBackward0"), (x[0..<1], "SliceBackward0"),
            (x.split(1)[0], "SplitBackward0"), (x.expand(2, 2, 2), "ExpandBackward0"), (x.clone(), "CloneBackward0"),
            (Tensor.where(x .> 1, x, 0), "WhereBackward0"), (x.maximum(2), "MaximumBackward0"),
            (x.amax(), "AmaxBackward0"), (x.max(dim: 0).values, "MaxBackward0"), (x.to(.float64), "ToCopyBackward0"),
            (x.cumsum(dim: 0), "CumsumBackward0"), (x.relu(), "ReluBackward0"), (x.exp(), "ExpBackward0"),
        ]
        for (tensor, name) in cases { #expect(tensor.gradFn?.name == name) }
    }

    @Test func exponentialLinearUnitsKeepInfinity() throws {
        let x = NDArray([Float.infinity, -.infinity, 0, .nan])
        for op: any Operator in [Op.Elu(), Op.Selu(), Op.Celu()] {
            let y = try op.forward([x])[0].doubles()
            #expect(y[0] == .infinity && y[1].isFinite && y[2] == 0 && y[3].isNaN, "\(op): \(y)")
        }
    }

    /// What a hostile file may ask for is refused before anything is allocated or multiplied.
    @Test func sizesBeyondTheMachineAreRefused() throws {
        let huge = 1 << 30
        func empty(_ shape: [Int]) -> NDArray { NDArray(uninitialized: shape, dtype: .float32) }
        let picture = NDArray.zeros([1, 1, 4, 4], dtype: .float32),
            weight = NDArray.zeros([1, 1, 1, 1], dtype: .float32)
        let border = 1 << 20
        let attempts: [(any Operator, [NDArray?])] = [
            (Op.Gemm(), [empty([huge, 0]), empty([0, huge])]),
            (Op.Conv(pads: [border, border, border, border]), [picture, weight]),
            (Op.Conv(pads: [Int(Int32.max), 0, 0, 0]), [picture, weight]),
            (Op.MaxPool(kernelShape: [Int(Int32.max), Int(Int32.max)]), [picture]),
            (Op.Concat(axis: 0), [NDArray?](repeating: empty([1 << 60, 0]), count: 16)),
        ]
        for (op, inputs) in attempts {
            #expect(throws: ShapeError.self, "\(op)") { try op.forward(inputs) }
            // The shape alone may be refused too, and must not trap.
            _ = try? op.infer(inputs.map { $0.map { ValueInfo($0.dtype, $0.shape) } })
        }
    }
}
