import Autograd
import TensorCore

/// Namespace of the operators: `Op.Conv`, `Op.Gemm`, ... named as in ONNX.
public enum Op {}

extension Op {
    /// Operators of the domain `com.microsoft`, which ONNX Runtime's optimiser writes.
    public enum Microsoft {
        static let domain = "com.microsoft"
    }
}

/// ONNX's default operator set.
public enum OperatorSet {
    /// Newest version that the operators here were written against.
    public static let newest = 27
}

/// One ONNX operator with fixed attributes, all its versions folded into one meaning by `init`.
///
/// An operator lives in one file: its attributes with the specification's defaults, its shape rule, its forward
/// computation, its gradient, the tensor functions built on it, and the samples that its tests are made from.
public protocol Operator: Sendable {
    /// ONNX's name, `"Conv"`.
    static var opType: String { get }

    /// The domain of the operator set that it belongs to; empty for ONNX's own.
    static var domain: String { get }

    /// Operator sets of its domain whose form of this operator is understood.
    static var opsets: ClosedRange<Int> { get }

    /// Cases that the tests run: shape rule against forward, finite differences to second order.
    static func samples() throws -> [OperatorSample]

    /// Most inputs that a node may have; 1 unless the operator says otherwise. The most of all versions: a
    /// required input that is missing is the shape rule's business.
    static var maximumInputs: Int { get }

    /// Most outputs that a node may have; 1 unless the operator says otherwise.
    static var maximumOutputs: Int { get }

    /// Inputs that hold a layer's parameters, by the name PyTorch gives them: `[1: "weight", 2: "bias"]`.
    static var parameterInputs: [Int: String] { get }

    /// Inputs that hold a layer's buffers: `[3: "running_mean", 4: "running_var"]`.
    static var bufferInputs: [Int: String] { get }

    /// True when a picture's numbers are the same to the last bit in every batch, where the operands are `[N, ...]` or constant:
    /// such nodes run in a plan's slices of pictures.
    var keepsImagesApart: Bool { get }

    /// True when the shapes of the operands decide, not their elements: `Shape`, `Size`.
    static var readsShapesOnly: Bool { get }

    /// Reads the attributes of a node. Throws `ShapeError` for one that is missing, malformed or not supported.
    init(_ node: NodeAttributes) throws

    /// Shapes and element types of the outputs; values too where they follow from shapes alone.
    func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo]

    /// Computes the outputs. An omitted optional input is nil. Throws `ShapeError` for operands that do not fit.
    func forward(_ inputs: [NDArray?]) throws -> [NDArray]

    /// What output `output` is to the batch of pictures; asked where no operand is `mixed`, and only where some are not constant.
    ///
    /// The rule must hold for every batch size: what it calls `images` may be computed picture by picture. An operator that
    /// says nothing makes `mixed` of pictures.
    func relation(_ batch: BatchOperands, output: Int) -> BatchRelation

    /// Computes on tensors, recording where gradients are asked for.
    func callAsFunction(_ inputs: [Tensor?]) throws -> [Tensor]
}

/// An operator with a gradient rule of its own.
public protocol PrimitiveOperator: Operator, DifferentiableFunction {}

extension PrimitiveOperator {
    public var name: String { Self.opType }
    public func callAsFunction(_ inputs: [Tensor?]) throws -> [Tensor] { try apply(self, inputs) }
}

/// An operator that is a composition of others: its gradient follows from theirs.
public protocol CompositeOperator: Operator {
    /// The composition, in tensor operations.
    func expand(_ inputs: [Tensor?]) throws -> [Tensor]
}

extension CompositeOperator {
    public func callAsFunction(_ inputs: [Tensor?]) throws -> [Tensor] { try expand(inputs) }
    public func forward(_ inputs: [NDArray?]) throws -> [NDArray] {
        try noGrad { try expand(inputs.map { $0.map { Tensor($0) } }).map(\.array) }
    }
}

extension Operator {
    public static var domain: String { "" }
    public static var opsets: ClosedRange<Int> { 1...OperatorSet.newest }
    public static var maximumInputs: Int { 1 }
    public static var maximumOutputs: Int { 1 }
    public static var parameterInputs: [Int: String] { [:] }
    public static var bufferInputs: [Int: String] { [:] }
    public var keepsImagesApart: Bool { false }
    public static var readsShapesOnly: Bool { false }
    public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation { batch.unknown }

    /// An operator without a gradient (integers, shapes, comparisons): its results are constants.
    public func callAsFunction(_ inputs: [Tensor?]) throws -> [Tensor] {
        try forward(inputs.map { $0?.array }).map { Tensor($0) }
    }

    /// `Conv`, or with its domain where that is not ONNX's own: `com.microsoft.FusedConv`.
    public static var fullName: String { domain.isEmpty ? opType : "\(domain).\(opType)" }

    /// True when gradients flow through the operator.
    public static var isDifferentiable: Bool {
        self is any PrimitiveOperator.Type || self is any CompositeOperator.Type
    }

    /// An error of this operator.
    func failure(_ reason: String) -> ShapeError { ShapeError(Self.opType, reason) }

    /// Input `index`, which the specification requires.
    func required<T>(_ inputs: [T?], _ index: Int, _ name: String) throws -> T {
        guard index < inputs.count, let input = inputs[index] else { throw failure("input '\(name)' is missing") }
        return input
    }

    /// Input `index`, or nil when it was omitted.
    func optional<T>(_ inputs: [T?], _ index: Int) -> T? { index < inputs.count ? inputs[index] : nil }

    /// The known value of an input that the shape rule depends on.
    func constant(_ inputs: [ValueInfo?], _ index: Int, _ name: String) throws -> NDArray {
        guard let value = try required(inputs, index, name).value else {
            throw failure("input '\(name)' must be known before running: it depends on the data")
        }
        return value
    }

    /// Refuses operands of a normalisation that are not floating-point of one type, or would stretch x.
    func checkNormalized(_ x: Tensor, by factors: Tensor?...) throws {
        guard x.dtype.isFloatingPoint else { throw failure("expected floating-point numbers, got \(x.dtype)") }
        for case let factor? in factors
        where factor.dtype != x.dtype || broadcastShape(x.shape, factor.shape) != x.shape {
            throw failure(
                "expected factors of \(x.dtype) that broadcast to \(x.shape), got \(factor.dtype) \(factor.shape)")
        }
    }

    /// The one integer that an input holds.
    func integer(_ input: NDArray, _ name: String) throws -> Int {
        guard input.dtype.isInteger, input.count == 1 else {
            throw failure("input '\(name)': expected one integer, got \(input.dtype) \(input.shape)")
        }
        return input.integers()[0]
    }

    func axis(_ axis: Int, rank: Int) throws -> Int {
        guard let result = normalizedAxis(axis, rank: rank) else {
            throw failure("axis \(axis) is outside of \(-rank)..<\(rank)")
        }
        return result
    }
}

/// What is known of a value before anything runs.
public struct ValueInfo: Sendable {
    public var dtype: DType
    public var shape: [Int]
    /// The value itself, when it is constant: weights, shapes and what is computed from them.
    public var value: NDArray?

    public init(_ dtype: DType, _ shape: [Int], value: NDArray? = nil) {
        self.dtype = dtype
        self.shape = shape
        self.value = value
    }

    /// A constant.
    public init(_ value: NDArray) { self.init(value.dtype, value.shape, value: value) }
}

/// One case of an operator's tests.
public struct OperatorSample: Sendable {
    public let name: String
    public let op: any Operator
    public let inputs: [NDArray?]
    /// Inputs that finite differences are taken over; they are `float64`.
    public let differentiable: [Int]
    /// Order of the derivatives to check: 1 at ties, where the second does not exist.
    public let order: Int

    public init(
        _ name: String, _ op: any Operator, _ inputs: [NDArray?], differentiable: [Int], order: Int = 2
    ) {
        self.order = order
        self.name = name
        self.op = op
        self.inputs = inputs
        self.differentiable = differentiable
    }

    /// Fixed `float64` values spread over `range` in scrambled order, at least `step`/2 apart from each other.
    ///
    /// Distinct values keep maxima away from ties, where finite differences mean nothing.
    public static func values(_ shape: [Int], in range: ClosedRange<Double> = -2...2, seed: Int = 0) -> NDArray {
        let count = elementCount(shape)
        guard count > 0 else { return NDArray([Double](), shape: shape) }
        var order = Array(0..<count)
        var state = UInt64(truncatingIfNeeded: seed &+ 1) &* 0x9E37_79B9_7F4A_7C15
        for index in stride(from: count - 1, to: 0, by: -1) {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            order.swapAt(index, Int(state >> 33) % (index + 1))
        }
        let step = (range.upperBound - range.lowerBound) / Double(count)
        return NDArray(order.map { range.lowerBound + (Double($0) + 0.37) * step }, shape: shape)
    }
}
