import Autograd
import TensorCore

extension Op {
    /// X where the condition holds, Y elsewhere; all three broadcast. ONNX Where 9...; `torch.where`.
    public struct Where: PrimitiveOperator {
        public static let opType = "Where"
        public static var maximumInputs: Int { 3 }
        public static let opsets = 9...OperatorSet.newest

        public init() {}
        public init(_ node: NodeAttributes) throws {}

        public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation { batch.aligned(output: output) }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] {
            let condition = try required(inputs, 0, "condition")
            let (x, y) = (try required(inputs, 1, "X"), try required(inputs, 2, "Y"))
            guard x.dtype == y.dtype else { throw failure("operands have different types, \(x.dtype) and \(y.dtype)") }
            guard let inner = broadcastShape(x.shape, y.shape), let shape = broadcastShape(condition.shape, inner)
            else {
                throw failure("shapes \(condition.shape), \(x.shape) and \(y.shape) do not broadcast")
            }
            return [ValueInfo(x.dtype, shape)]
        }

        public func forward(_ inputs: [NDArray?]) throws -> [NDArray] {
            let condition = try required(inputs, 0, "condition")
            return [try NDArray.select(condition, required(inputs, 1, "X"), required(inputs, 2, "Y"))]
        }

        public func saved(for needs: IndexSet64) -> SavedValues { SavedValues(inputs: 0) }

        public func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
            guard let g = gradOutputs[0] else { return [nil, nil, nil] }
            let condition = try context.input(0)
            let zero = Tensor.literal(0, dtype: g.dtype)
            return [
                nil,
                context.needs(1) ? try apply(self, condition, g, zero).summed(to: context.inputShape(1)) : nil,
                context.needs(2) ? try apply(self, condition, zero, g).summed(to: context.inputShape(2)) : nil,
            ]
        }

        public static func samples() throws -> [OperatorSample] {
            let (x, y) = (OperatorSample.values([2, 3]), OperatorSample.values([2, 3], seed: 1))
            let mask = NDArray([true, false, false, true, true, false], shape: [2, 3])
            return [
                OperatorSample("same shape", Op.Where(), [mask, x, y], differentiable: [1, 2]),
                OperatorSample(
                    "broadcast", Op.Where(), [mask, x.rows(0..<1), NDArray(scalar: 0.5)], differentiable: [1, 2]),
                OperatorSample("condition", Op.Where(), [mask.rows(1..<2), x, y], differentiable: [1, 2]),
                OperatorSample(
                    "integers", Op.Where(), [mask, NDArray(scalar: 1), NDArray([4, 5, 6])], differentiable: []),
            ]
        }
    }
}

extension Tensor {
    /// `a` where `condition` holds, `b` elsewhere; all three broadcast. Source: `torch.where`.
    public static func `where`(_ condition: Tensor, _ a: Tensor, _ b: Tensor) -> Tensor {
        let (a, b) = promoted(a, b)
        return checked(try apply(Op.Where(), condition, a, b))
    }
    public static func `where`(_ condition: Tensor, _ a: Tensor, _ b: some NumberOperand) -> Tensor {
        Tensor.where(condition, a, b.literal(beside: a))
    }
    public static func `where`(_ condition: Tensor, _ a: some NumberOperand, _ b: Tensor) -> Tensor {
        Tensor.where(condition, a.literal(beside: b), b)
    }

    /// `value` where `mask` holds, this tensor elsewhere. Source: `Tensor.masked_fill`.
    public func maskedFill(_ mask: Tensor, _ value: some NumberOperand) -> Tensor { Tensor.where(mask, value, self) }
}
