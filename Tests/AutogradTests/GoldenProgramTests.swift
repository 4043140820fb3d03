import Autograd
import Operators
import TensorCore
import Testing

/// Runs the programs and compares with PyTorch.
@Suite struct GoldenProgramTests {
    private static let goldens = Result { try GoldenPrograms() }

    @Test func thereAreManyPrograms() throws {
        let programs = try Self.goldens.get().programs
        #expect(programs.count >= 300)
        #expect(programs.filter { $0.order == 2 }.count >= 60)
    }

    @Test func valuesAndGradientsEqualPyTorchsInFloat32() throws { try compareAll(.float32, tolerance: 1e-5) }

    @Test func valuesAndGradientsEqualPyTorchsInFloat64() throws { try compareAll(.float64, tolerance: 1e-10) }

    private func compareAll(_ dtype: DType, tolerance: Double) throws {
        let goldens = try Self.goldens.get()
        var worst = 0.0
        for program in goldens.programs {
            do {
                worst = max(worst, try compare(program, goldens, dtype, tolerance))
            } catch {
                Issue.record("\(program.name): \(error)")
            }
        }
        print("\(goldens.programs.count) programs in \(dtype): largest relative difference \(worst)")
    }

    private func compare(
        _ program: GoldenPrograms.Program, _ goldens: GoldenPrograms, _ dtype: DType, _ tolerance: Double
    ) throws -> Double {
        let suffix = dtype == .float32 ? "32" : ""
        var worst = 0.0
        func check(_ array: NDArray, _ key: String) throws {
            let error = scaledError(array, try goldens.tensor(program, key))
            worst = max(worst, error)
            #expect(error <= tolerance, "\(program.name) \(key)")
        }
        let inputs = try program.inputs.enumerated().map { index, input in
            try Tensor(goldens.tensor(program, "in/\(index)").converted(to: dtype), requiresGrad: input.grad)
        }
        let values = try run(program, inputs)
        try check(values[program.watch].array, "watch\(suffix)")
        try check(values[program.output].array, "value\(suffix)")

        let wanted = program.inputs.indices.filter { program.inputs[$0].grad }
        let leaves = wanted.map { inputs[$0] }
        let gradients = try grad(of: [values[program.output]], wrt: leaves, createGraph: program.order == 2)
        for (index, gradient) in zip(wanted, gradients) {
            guard let gradient else { continue }
            try check(gradient.array, "grad\(suffix)/\(index)")
        }
        guard program.order == 2 else { return worst }

        var total: Tensor?
        for (index, gradient) in zip(wanted, gradients) {
            let direction = Tensor(try goldens.tensor(program, "dir/\(index)").converted(to: dtype))
            guard let term = gradient.map({ ($0 * direction).sum() }) else { continue }
            total = total.map { $0 + term } ?? term
        }
        guard let total else { return worst }
        let products = try grad(of: [total], wrt: leaves, allowUnused: true)
        for (index, product) in zip(wanted, products) {
            let value = product?.array ?? .zeros(inputs[index].shape, dtype: dtype)
            try check(value, "hvp\(suffix)/\(index)")
        }
        return worst
    }

    /// max |a − b| / max(0.01, max |b|)
    private func scaledError(_ a: NDArray, _ b: NDArray) -> Double {
        guard a.shape == b.shape, a.dtype == b.dtype else { return .infinity }
        let (x, y) = (a.doubles(), b.doubles())
        let scale = max(1e-2, y.map(abs).max() ?? 0)
        return zip(x, y).map { abs($0 - $1) }.reduce(0) { $1.isNaN ? .infinity : max($0, $1) } / scale
    }

    // MARK: Interpreter

    private struct UnknownOperation: Error { let name: String }

    private func run(_ program: GoldenPrograms.Program, _ inputs: [Tensor]) throws -> [Tensor] {
        var values = inputs
        for operation in program.ops {
            let operands = operation.args.map { values[$0] }
            values.append(try evaluate(operation.op, operands, operation.attrs ?? .init()))
        }
        return values
    }

    private func evaluate(_ name: String, _ v: [Tensor], _ a: GoldenPrograms.Attributes) throws -> Tensor {
        if let result = arithmetic(name, v, a) ?? elementwise(name, v[0], a) ?? reduction(name, v[0], a) {
            return result
        }
        if let result = try shape(name, v, a) ?? layer(name, v, a) { return result }
        throw UnknownOperation(name: name)
    }

    private func arithmetic(_ name: String, _ v: [Tensor], _ a: GoldenPrograms.Attributes) -> Tensor? {
        func combine(_ function: (Tensor, Tensor) -> Tensor) -> Tensor {
            guard let scalar = a.scalar else { return function(v[0], v[1]) }
            let number = Tensor(scalar, dtype: v[0].dtype)
            return a.reverse == true ? function(number, v[0]) : function(v[0], number)
        }
        switch name {
        case "add": return combine(+)
        case "sub": return combine(-)
        case "mul": return combine(*)
        case "div": return combine(/)
        case "pow": return combine(**)
        default: return nil
        }
    }

    private func elementwise(_ name: String, _ x: Tensor, _ a: GoldenPrograms.Attributes) -> Tensor? {
        switch name {
        case "neg": -x
        case "exp": x.exp()
        case "log": x.log()
        case "sqrt": x.sqrt()
        case "abs": x.abs()
        case "relu": x.relu()
        case "sigmoid": x.sigmoid()
        case "tanh": x.tanh()
        case "gelu": x.gelu()
        case "clamp": x.clamp(min: a.min, max: a.max)
        default: nil
        }
    }

    private func reduction(_ name: String, _ x: Tensor, _ a: GoldenPrograms.Attributes) -> Tensor? {
        let (dims, keep) = (a.dim?.list, a.keepdim ?? false)
        switch name {
        case "sum": return dims.map { x.sum(dim: $0, keepdim: keep) } ?? x.sum()
        case "mean": return dims.map { x.mean(dim: $0, keepdim: keep) } ?? x.mean()
        case "max": return dims.map { x.max(dim: $0[0], keepdim: keep).values } ?? x.max()
        case "min": return dims.map { x.min(dim: $0[0], keepdim: keep).values } ?? x.min()
        case "var": return x.var(dim: dims, correction: a.correction ?? 1, keepdim: keep)
        case "softmax": return dims.map { x.softmax(dim: $0[0]) }
        case "logSoftmax": return dims.map { x.logSoftmax(dim: $0[0]) }
        default: return nil
        }
    }

    private func shape(_ name: String, _ v: [Tensor], _ a: GoldenPrograms.Attributes) -> Tensor? {
        let dim = a.dim?.list.first ?? 0
        switch name {
        case "reshape": return v[0].reshape(a.shape ?? [])
        case "expand": return v[0].expand(a.shape ?? [])
        case "transpose": return v[0].transpose(a.dim0 ?? 0, a.dim1 ?? 0)
        case "permute": return v[0].permute(a.dims ?? [])
        case "unsqueeze": return v[0].unsqueeze(dim)
        case "squeeze": return v[0].squeeze(dim)
        case "slice":
            var indices = [AxisSelection](repeating: .all, count: dim < 0 ? dim + v[0].rank : dim)
            indices.append(.range(start: a.start, end: a.end, step: 1))
            return v[0][indices: indices]
        case "split": return v[0].split(a.size ?? 0, dim: dim)[a.index ?? 0]
        case "cat": return cat(v, dim: dim)
        case "stack": return stack(v, dim: dim)
        default: return nil
        }
    }

    private func layer(_ name: String, _ v: [Tensor], _ a: GoldenPrograms.Attributes) throws -> Tensor? {
        let pads = (a.padding ?? [0, 0]) + (a.padding ?? [0, 0])
        switch name {
        case "matmul": return v[0].matmul(v[1])
        case "linear": return try linear(v[0], v[1], bias: v.count > 2 ? v[2] : nil)
        case "conv2d":
            let padding = a.padding ?? [0, 0]
            let geometry = ConvolutionGeometry(
                stride: a.stride ?? [1, 1], paddingBefore: padding, paddingAfter: padding,
                dilation: a.dilation ?? [1, 1], groups: a.groups ?? 1)
            return try convolution(v[0], v[1], bias: v.count > 2 ? v[2] : nil, geometry: geometry)
        case "maxPool2d":
            return try Op.MaxPool(kernelShape: a.kernelSize ?? [], strides: a.stride, pads: pads)([v[0]])[0]
        case "avgPool2d":
            let pool = Op.AveragePool(
                kernelShape: a.kernelSize ?? [], strides: a.stride, pads: pads,
                countIncludePad: a.countIncludePad ?? true)
            return try pool([v[0]])[0]
        case "batchNorm":
            return try batchNorm(
                v[0], scale: v[1], bias: v[2], mean: v[3].array, variance: v[4].array, training: a.training ?? false,
                epsilon: a.eps ?? 1e-5
            ).output
        case "crossEntropy":
            return try crossEntropy(v[0], labels: a.target ?? [], labelSmoothing: a.labelSmoothing ?? 0)
        default: return nil
        }
    }
}
