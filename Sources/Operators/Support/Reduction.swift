import Autograd
import TensorCore

/// Which axes an operator such as `ReduceSum` reduces.
///
/// Axes are an attribute before operator set 18 (13 for `ReduceSum`), an optional input since. Without axes all are reduced,
/// or none with `noop_with_empty_axes`.
public struct ReductionAttributes: Sendable {
    /// Nil when they are an input or all.
    public let axes: [Int]?
    public let keepDims: Bool
    public let isNoopWithoutAxes: Bool

    public init(axes: [Int]? = nil, keepDims: Bool = true, isNoopWithoutAxes: Bool = false) {
        self.axes = axes
        self.keepDims = keepDims
        self.isNoopWithoutAxes = isNoopWithoutAxes
    }

    init(_ node: NodeAttributes) throws {
        axes = try node.ints("axes")
        keepDims = try node.bool("keepdims", default: true)
        isNoopWithoutAxes = try node.bool("noop_with_empty_axes", default: false)
    }
}

/// `ReduceSum`, `ReduceMax`, ...: a function of the elements along some axes.
protocol ReductionOperator: CompositeOperator {
    var attributes: ReductionAttributes { get }
    init(axes: [Int]?, keepDims: Bool, noopWithEmptyAxes: Bool)
    init(_ attributes: ReductionAttributes)

    /// `x` reduced over `axes`, which are in range and distinct; none leaves the shape alone.
    func reduce(_ x: Tensor, _ axes: [Int], keepDims: Bool) throws -> Tensor
}

extension ReductionOperator {
    public static var maximumInputs: Int { 2 }

    public init(_ node: NodeAttributes) throws { self.init(try ReductionAttributes(node)) }

    private func resolved(_ given: NDArray?, rank: Int) throws -> [Int] {
        let axes = given?.integers() ?? attributes.axes ?? []
        if axes.isEmpty { return attributes.isNoopWithoutAxes ? [] : Array(0..<rank) }
        let result = try axes.map { try axis($0, rank: rank) }
        guard Set(result).count == result.count else { throw failure("axes \(axes) name an axis twice") }
        return result.sorted()
    }

    public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] {
        let x = try required(inputs, 0, "data")
        let given = try optional(inputs, 1) == nil ? nil : constant(inputs, 1, "axes")
        let axes = try resolved(given, rank: x.shape.count)
        return [ValueInfo(x.dtype, reducedShape(x.shape, axes, keepDims: attributes.keepDims))]
    }

    public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation {
        guard batch.hasPictures else { return .counted }
        guard let rank = batch.operand(0)?.shape.count, let axes = try? resolved(batch.operand(1)?.value, rank: rank)
        else { return .mixed }
        return batch.reduced(axes, keepDims: attributes.keepDims)
    }

    public func expand(_ inputs: [Tensor?]) throws -> [Tensor] {
        let x = try required(inputs, 0, "data")
        let axes = try resolved(optional(inputs, 1)?.array, rank: x.rank)
        return [try reduce(x, axes, keepDims: attributes.keepDims)]
    }

    /// Every form of the axes, and size-1 axes.
    static func reductionSamples(in range: ClosedRange<Double> = -2...2) -> [OperatorSample] {
        func make(_ axes: [Int]? = nil, keepDims: Bool = true, isNoop: Bool = false) -> Self {
            Self(axes: axes, keepDims: keepDims, noopWithEmptyAxes: isNoop)
        }
        let x = OperatorSample.values([2, 3, 4], in: range)
        let y = OperatorSample.values([3, 1], in: range, seed: 1)
        return [
            OperatorSample("all", make(), [x], differentiable: [0]),
            OperatorSample("attribute axes", make([0, -1]), [x], differentiable: [0]),
            OperatorSample("input axes", make(keepDims: false), [x, NDArray([1])], differentiable: [0]),
            OperatorSample("all to scalar", make(keepDims: false), [x], differentiable: [0]),
            OperatorSample("size one", make([-1], keepDims: false), [y], differentiable: [0]),
            OperatorSample("no axes", make(isNoop: true), [y, NDArray([Int]())], differentiable: [0]),
            OperatorSample("scalar", make(), [NDArray(scalar: range.upperBound)], differentiable: [0]),
        ]
    }
}

/// `shape` without `axes`, or with 1 in their places.
func reducedShape(_ shape: [Int], _ axes: [Int], keepDims: Bool) -> [Int] {
    shape.indices.compactMap { axes.contains($0) ? (keepDims ? 1 : nil) : shape[$0] }
}

extension Tensor {
    /// The inverse of dropping reduced axes, then broadcasting over them: what a reduction's gradient starts with.
    func restored(to shape: [Int], axes: [Int]) throws -> Tensor {
        try reshaped(reducedShape(shape, axes, keepDims: true)).broadcast(to: shape)
    }

    func broadcast(to shape: [Int]) throws -> Tensor {
        self.shape == shape ? self : try apply(BroadcastTo(target: shape), self)
    }

    /// Axes named by the caller of `sum(dim:)` and its kin, in range, distinct and sorted; nil means all.
    func normalized(_ dims: [Int]?, _ operation: String) throws -> [Int] {
        guard let dims else { return Array(0..<rank) }
        let result = try dims.map { dim in
            guard let axis = normalizedAxis(dim, rank: rank) else {
                throw ShapeError(operation, "dim \(dim) is outside of \(-rank)..<\(rank)")
            }
            return axis
        }
        guard Set(result).count == result.count else { throw ShapeError(operation, "dims \(dims) name an axis twice") }
        return result.sorted()
    }
}
