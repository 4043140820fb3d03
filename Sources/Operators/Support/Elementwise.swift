import Autograd
import TensorCore

/// Elementwise functions of one operand without attributes: `Exp`, `Sqrt`, `Floor`, ...
protocol UnaryOperator: PrimitiveOperator {
    static var function: UnaryFunction { get }
    init()
}

extension UnaryOperator {
    public init(_ node: NodeAttributes) throws { self.init() }

    public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] {
        let x = try required(inputs, 0, "X")
        return [ValueInfo(x.dtype, x.shape)]
    }

    public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation { batch.aligned() }

    public func forward(_ inputs: [NDArray?]) throws -> [NDArray] { [try required(inputs, 0, "X").map(Self.function)] }
}

/// A function that is constant between jumps: `Sign`, `Ceil`, `Floor`, `Round`. Its gradient is zero, as PyTorch's.
protocol StepFunction: UnaryOperator {}

extension StepFunction {
    public func saved(for needs: IndexSet64) -> SavedValues { .none }

    public func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
        [gradOutputs[0].map { Tensor(NDArray.zeros($0.shape, dtype: $0.dtype)) }]
    }
}

/// Arithmetic on two broadcast operands of one type: `Sub`, `Div`, ...
protocol ArithmeticOperator: PrimitiveOperator, BroadcastingOperator {
    static var function: BinaryFunction { get }
    init()
    init(legacyAxis: Int?)
}

extension ArithmeticOperator {
    public init(_ node: NodeAttributes) throws { self.init(legacyAxis: try legacyBroadcastAxis(node)) }

    public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] { try broadcastInfo(inputs) }

    public func forward(_ inputs: [NDArray?]) throws -> [NDArray] {
        let (a, b) = try aligned(inputs)
        return [try NDArray.binary(Self.function, a, b)]
    }

    /// Saved operand `index`, with the trailing axes that `legacyAxis` implies.
    func operand(_ index: Int, _ context: VJPContext) throws -> Tensor {
        let x = try context.input(index)
        return index == 0 ? x : try x.reshaped(aligned(x.shape, to: context.inputShape(0)))
    }

    /// The gradient of operand `index` from that of the broadcast operand: sums over what broadcasting stretched.
    func unbroadcast(_ gradient: Tensor, _ index: Int, _ context: VJPContext) throws -> Tensor {
        let shape = context.inputShape(index)
        if index == 0 { return try gradient.summed(to: shape) }
        return try gradient.summed(to: aligned(shape, to: context.inputShape(0))).reshaped(shape)
    }

    /// Same shape, broadcasting both ways, a scalar, an empty operand, and the form before operator set 7.
    static func arithmeticSamples(
        _ first: ClosedRange<Double> = -2...2, _ second: ClosedRange<Double> = -2...2
    ) throws -> [OperatorSample] {
        let legacy = try Self(NodeAttributes(opType: opType, opset: 6, ["broadcast": .int(1), "axis": .int(1)]))
        let a = OperatorSample.values([2, 3, 4], in: first)
        let b = OperatorSample.values([3, 1], in: second, seed: 1)
        let same = OperatorSample.values([2, 3, 4], in: second, seed: 2)
        return [
            OperatorSample("same shape", Self(), [a, same], differentiable: [0, 1]),
            OperatorSample("broadcast", Self(), [a, b], differentiable: [0, 1]),
            OperatorSample("broadcast both", Self(), [a.rows(0..<1), b.reshaped([3, 1, 1])], differentiable: [0, 1]),
            OperatorSample("scalar", Self(), [a, NDArray(scalar: 1.5)], differentiable: [0, 1]),
            OperatorSample("empty", Self(), [.zeros([0, 3, 4], dtype: .float64), b], differentiable: [0, 1]),
            OperatorSample("opset 6 axis", legacy, [a, b.reshaped([3])], differentiable: [0, 1]),
        ]
    }
}

/// Comparisons of two broadcast operands of one type: `Equal`, `Less`, ...
protocol ComparisonOperator: Operator, BroadcastingOperator {
    static var comparison: Comparison { get }
    init()
    init(legacyAxis: Int?)
}

extension ComparisonOperator {
    public init(_ node: NodeAttributes) throws { self.init(legacyAxis: try legacyBroadcastAxis(node)) }

    public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] { try broadcastInfo(inputs, dtype: .bool) }

    public func forward(_ inputs: [NDArray?]) throws -> [NDArray] {
        let (a, b) = try aligned(inputs)
        return [try NDArray.compare(Self.comparison, a, b)]
    }

    static func comparisonSamples() throws -> [OperatorSample] {
        let legacy = try Self(NodeAttributes(opType: opType, opset: 6, ["broadcast": .int(1), "axis": .int(0)]))
        let (a, b) = (NDArray([1.0, 2, 3, 4, 5, .nan], shape: [2, 3]), NDArray([1.0, 5, 3]))
        return [
            OperatorSample("broadcast, ties, NaN", Self(), [a, b], differentiable: []),
            OperatorSample("integers", Self(), [NDArray([1, 2, 3]), NDArray(scalar: 2)], differentiable: []),
            OperatorSample("opset 6 axis", legacy, [a, b.rows(0..<2)], differentiable: []),
        ]
    }
}

/// Logic on two broadcast bool operands: `And`, `Or`, `Xor`.
protocol LogicalOperator: Operator, BroadcastingOperator {
    init()
    init(legacyAxis: Int?)
    func combine(_ a: NDArray, _ b: NDArray) throws -> NDArray
}

extension LogicalOperator {
    public init(_ node: NodeAttributes) throws { self.init(legacyAxis: try legacyBroadcastAxis(node)) }

    public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] { try broadcastInfo(inputs) }

    public func forward(_ inputs: [NDArray?]) throws -> [NDArray] {
        let (a, b) = try aligned(inputs)
        guard a.dtype == .bool, b.dtype == .bool else { throw failure("expected bool, got \(a.dtype) and \(b.dtype)") }
        return [try combine(a, b)]
    }

    static func logicalSamples() -> [OperatorSample] {
        let a = NDArray([true, true, false, false], shape: [2, 2])
        return [
            OperatorSample(
                "table", Self(), [a, NDArray([true, false, true, false], shape: [2, 2])], differentiable: []),
            OperatorSample("broadcast", Self(), [a, NDArray([true, false])], differentiable: []),
        ]
    }
}
