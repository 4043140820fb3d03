import Autograd
import TensorCore

extension Op {
    /// Matrix product over the last two axes, broadcasting over the others. ONNX MatMul 1...; `torch.matmul`.
    ///
    /// a: `[..., M, K]`, b: `[..., K, N]`; y: `[..., M, N]`. A vector a counts as one row, a vector b as one column, and
    /// the axis that this adds is dropped from y.
    public struct MatMul: CompositeOperator {
        public static let opType = "MatMul"
        public static var maximumInputs: Int { 2 }
        public static var parameterInputs: [Int: String] { [1: "weight"] }

        public init() {}
        public init(_ node: NodeAttributes) throws {}

        /// Operand shapes of at least two axes, and the shape of the product.
        private func plan(_ a: [Int], _ b: [Int]) throws -> (a: [Int], b: [Int], product: [Int]) {
            guard !a.isEmpty, !b.isEmpty else { throw failure("expected arrays with axes, got \(a) and \(b)") }
            let (rows, columns) = (a.count == 1 ? [1] + a : a, b.count == 1 ? b + [1] : b)
            guard rows[rows.count - 1] == columns[columns.count - 2],
                let outer = broadcastShape(Array(rows.dropLast(2)), Array(columns.dropLast(2)))
            else { throw failure("expected A [..., M, K] and B [..., K, N], got \(a) and \(b)") }
            let left = a.count == 1 ? [] : [a[a.count - 2]]
            let right = b.count == 1 ? [] : [b[b.count - 1]]
            return (rows, columns, outer + left + right)
        }

        public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation {
            batch.product()
        }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] {
            let (a, b) = (try required(inputs, 0, "A"), try required(inputs, 1, "B"))
            guard a.dtype == b.dtype else { throw failure("operands have different types, \(a.dtype) and \(b.dtype)") }
            return [ValueInfo(a.dtype, try plan(a.shape, b.shape).product)]
        }

        public func expand(_ inputs: [Tensor?]) throws -> [Tensor] {
            let (a, b) = (try required(inputs, 0, "A"), try required(inputs, 1, "B"))
            let shapes = try plan(a.shape, b.shape)
            var rows = shapes.a
            if shapes.b.count == 2 && shapes.a.count > 2 {
                // One matrix for all: the outer axes are more rows, and its gradient is one product too.
                rows = [shapes.a.dropLast().reduce(1, *), shapes.a[shapes.a.count - 1]]
            }
            let product: Tensor = try apply(MatrixProduct(), a.reshaped(rows), b.reshaped(shapes.b))
            return [try product.reshaped(shapes.product)]
        }

        public static func samples() throws -> [OperatorSample] {
            func sample(_ name: String, _ a: [Int], _ b: [Int]) -> OperatorSample {
                OperatorSample(
                    name, Op.MatMul(), [OperatorSample.values(a), OperatorSample.values(b, seed: 1)],
                    differentiable: [0, 1])
            }
            return [
                sample("matrices", [2, 3], [3, 4]),
                sample("vector times vector", [3], [3]),
                sample("vector times batch", [3], [2, 3, 2]),
                sample("batch times vector", [2, 2, 3], [3]),
                sample("batch times matrix", [2, 2, 3], [3, 2]),
                sample("batches broadcast", [2, 1, 2, 3], [3, 3, 2]),
                sample("matrix times batch", [2, 3], [2, 3, 2]),
                sample("empty", [0, 3], [3, 2]),
                sample("empty sum", [2, 0], [0, 2]),
            ]
        }
    }
}

/// op(a) op(b) over the last two axes of arrays with at least two, broadcasting over the others.
///
/// Its gradients are such products again, with the flags that undo a transposition: nothing is copied.
struct MatrixProduct: DifferentiableFunction {
    var transposeA = false
    var transposeB = false
    var name: String { "Mm" }

    func forward(_ inputs: [NDArray?]) throws -> [NDArray] {
        guard let a = inputs[0], let b = inputs[1] else { return [] }
        return [try NDArray.matmul(a, b, transposeA: transposeA, transposeB: transposeB)]
    }

    func saved(for needs: IndexSet64) -> SavedValues { savedOfProduct(needs) }

    func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
        guard let g = gradOutputs[0] else { return [nil, nil] }
        var gradients: [Tensor?] = [nil, nil]
        if context.needs(0) {
            let b = try context.input(1)
            let gradient: Tensor =
                transposeA
                ? try apply(MatrixProduct(transposeA: transposeB, transposeB: true), b, g)
                : try apply(MatrixProduct(transposeB: !transposeB), g, b)
            gradients[0] = try gradient.summed(to: context.inputShape(0))
        }
        if context.needs(1) {
            let a = try context.input(0)
            let gradient: Tensor =
                transposeB
                ? try apply(MatrixProduct(transposeA: true, transposeB: transposeA), g, a)
                : try apply(MatrixProduct(transposeA: !transposeA), a, g)
            gradients[1] = try gradient.summed(to: context.inputShape(1))
        }
        return gradients
    }
}

extension Tensor {
    /// Matrix product over the last two axes; vectors count as a row or a column. Source: `torch.matmul`.
    public func matmul(_ other: Tensor) -> Tensor { checked(try Op.MatMul()([self, other])[0]) }
}
