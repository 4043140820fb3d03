import Autograd
import TensorCore

/// What stands between the brackets of `t[...]` for one axis: an integer, a Swift range of integers, or an `AxisSelection`.
///
/// Negative bounds count from the end; bounds beyond an axis are clamped, an integer beyond it is an error.
public protocol TensorIndex {
    var selection: AxisSelection { get }
}

/// One part of an index.
public enum AxisSelection: TensorIndex {
    /// One position; the axis is dropped.
    case position(Int)
    /// Positions from `start` to before `end` by `step`; nil means as far as there is.
    case range(start: Int?, end: Int?, step: Int)
    /// Every position of as many axes as the rest of the index leaves over.
    case rest
    /// A new axis of size 1.
    case new

    public var selection: AxisSelection { self }
}

extension TensorIndex where Self == AxisSelection {
    /// Every position of an axis: `t[.all, 0]` is Python's `t[:, 0]`.
    public static var all: AxisSelection { .range(start: nil, end: nil, step: 1) }
    /// Every position of as many axes as the rest of the index leaves over: `t[.ellipsis, 0]` is Python's `t[..., 0]`.
    public static var ellipsis: AxisSelection { .rest }
    /// A new axis of size 1: `t[.newAxis]` is Python's `t[None]`.
    public static var newAxis: AxisSelection { .new }
}

extension Int: TensorIndex {
    public var selection: AxisSelection { .position(self) }
}
extension Range<Int>: TensorIndex {
    public var selection: AxisSelection { .range(start: lowerBound, end: upperBound, step: 1) }
}
extension ClosedRange<Int>: TensorIndex {
    public var selection: AxisSelection { .range(start: lowerBound, end: endAfter(upperBound), step: 1) }
}
extension PartialRangeFrom<Int>: TensorIndex {
    public var selection: AxisSelection { .range(start: lowerBound, end: nil, step: 1) }
}
extension PartialRangeUpTo<Int>: TensorIndex {
    public var selection: AxisSelection { .range(start: nil, end: upperBound, step: 1) }
}
extension PartialRangeThrough<Int>: TensorIndex {
    public var selection: AxisSelection { .range(start: nil, end: endAfter(upperBound), step: 1) }
}

/// The bound behind `last`; behind the last position, -1, there is none to name.
private func endAfter(_ last: Int) -> Int? { last == -1 ? nil : last + 1 }

extension TensorIndex {
    /// Every `step`-th position of a range: `t[(0...).by(2)]`; negative steps go backwards from the end.
    public func by(_ step: Int) -> AxisSelection {
        guard case .range(let start, let end, let own) = selection else { return selection }
        return .range(start: start, end: end, step: own * step)
    }
}

/// A rectangular part of an array under a shape of its own.
struct Selection: LinearMap {
    let bounds: SliceBounds
    /// Shape of the slice before axes are dropped and added.
    let sliceShape: [Int]
    let shape: [Int]
    let name: String

    init(_ indices: [AxisSelection], of source: [Int]) throws {
        let used = indices.reduce(0) { count, index in
            switch index {
            case .position, .range: count + 1
            case .rest, .new: count
            }
        }
        guard used <= source.count else {
            throw ShapeError("subscript", "\(used) indices for a tensor of shape \(source)")
        }
        var bounds = SliceBounds(starts: [], ends: [], axes: [], steps: [])
        // The slice's axes in the result; nil is a new one.
        var kept: [Int?] = []
        var axis = 0
        var dropsAxes = false
        let pieces = indices.contains(where: \.isEllipsis) ? indices : indices + [.rest]
        var rest = source.count - used
        for piece in pieces {
            switch piece {
            case .position(let position):
                let size = source[axis]
                guard position >= -size, position < size else {
                    throw ShapeError("subscript", "index \(position) is outside of axis \(axis) of \(source)")
                }
                let start = position < 0 ? position + size : position
                bounds.append(start, start + 1, axis, 1)
                dropsAxes = true
                axis += 1
            case .range(let start, let end, let step):
                guard step != 0 else { throw ShapeError("subscript", "the step of axis \(axis) is 0") }
                bounds.append(start ?? (step > 0 ? 0 : -1), end ?? (step > 0 ? .max : .min), axis, step)
                kept.append(axis)
                axis += 1
            case .rest:
                kept += (axis..<axis + rest).map { $0 }
                axis += rest
                // A second ellipsis stands for nothing.
                rest = 0
            case .new:
                kept.append(nil)
            }
        }
        self.bounds = bounds
        let slice = try bounds.shape(of: source)
        sliceShape = slice
        shape = kept.map { $0.map { slice[$0] } ?? 1 }
        name = dropsAxes ? "Select" : "Slice"
    }

    func apply(_ x: NDArray) throws -> NDArray { try bounds.apply(x).reshaped(shape) }
    func applyAdjoint(_ gradOutput: NDArray, inputShape: [Int]) throws -> NDArray {
        try bounds.applyAdjoint(gradOutput.reshaped(sliceShape), inputShape: inputShape)
    }

    /// Writes `values`, which broadcast to `shape`, to this part of `x`.
    func assign(_ values: NDArray, to x: inout NDArray) throws {
        guard values.dtype == x.dtype, broadcastShape(values.shape, shape) == shape else {
            throw ShapeError(
                "subscript",
                "expected values of \(x.dtype) that broadcast to \(shape), got \(values.shape) of \(values.dtype)")
        }
        try x.assignSlice(
            values.broadcast(to: shape).reshaped(sliceShape), starts: bounds.starts, ends: bounds.ends,
            axes: bounds.axes, steps: bounds.steps)
    }
}

extension AxisSelection {
    fileprivate var isEllipsis: Bool { if case .rest = self { true } else { false } }
}

extension SliceBounds {
    fileprivate mutating func append(_ start: Int, _ end: Int, _ axis: Int, _ step: Int) {
        starts.append(start)
        ends.append(end)
        axes.append(axis)
        steps.append(step)
    }
}

/// `x` with a part replaced by other values: inputs x and the values.
private struct SelectionAssignment: DifferentiableFunction {
    let selection: Selection
    var name: String { "CopySlices" }
    var backwardName: String { "CopySlices" }

    func forward(_ inputs: [NDArray?]) throws -> [NDArray] {
        guard var x = inputs[0], let values = inputs[1] else { return [] }
        try selection.assign(values, to: &x)
        return [x]
    }
    func saved(for needs: IndexSet64) -> SavedValues { .none }
    func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
        guard let g = gradOutputs[0] else { return [nil, nil] }
        return [
            context.needs(0) ? try apply(self, g, Tensor.literal(0, dtype: g.dtype)) : nil,
            context.needs(1) ? try g.mapped(selection).summed(to: context.inputShape(1)) : nil,
        ]
    }
}

extension Tensor {
    /// A part of the tensor: `t[0]`, `t[-1]`, `t[0..<2, 1...]`, `t[(0...).by(2)]`. Source: Python's `t[...]`.
    ///
    /// The result is a value, not a writable view. Assigning to a part changes the tensor in place, under the rules of
    /// in-place operations; where those may be broken, `assign(_:at:)` throws instead of stopping the program.
    public subscript(_ indices: any TensorIndex...) -> Tensor {
        get { checked(try mapped(Selection(indices.map(\.selection), of: shape))) }
        set { checked(try assign(newValue, indices.map(\.selection))) }
    }

    // The same for few indices, where `.all` and `.newAxis` need no type in front: `t[.all, 0]`.
    public subscript<A: TensorIndex>(_ a: A) -> Tensor {
        get { checked(try mapped(Selection([a.selection], of: shape))) }
        set { checked(try assign(newValue, [a.selection])) }
    }
    public subscript<A: TensorIndex, B: TensorIndex>(_ a: A, _ b: B) -> Tensor {
        get { checked(try mapped(Selection([a.selection, b.selection], of: shape))) }
        set { checked(try assign(newValue, [a.selection, b.selection])) }
    }
    public subscript<A: TensorIndex, B: TensorIndex, C: TensorIndex>(_ a: A, _ b: B, _ c: C) -> Tensor {
        get { checked(try mapped(Selection([a.selection, b.selection, c.selection], of: shape))) }
        set { checked(try assign(newValue, [a.selection, b.selection, c.selection])) }
    }
    public subscript<A: TensorIndex, B: TensorIndex, C: TensorIndex, D: TensorIndex>(_ a: A, _ b: B, _ c: C, _ d: D)
        -> Tensor
    {
        get { checked(try mapped(Selection([a.selection, b.selection, c.selection, d.selection], of: shape))) }
        set { checked(try assign(newValue, [a.selection, b.selection, c.selection, d.selection])) }
    }

    /// As `t[a, b, ...]` with indices that are made while running.
    public subscript(indices indices: [any TensorIndex]) -> Tensor {
        get { checked(try mapped(Selection(indices.map(\.selection), of: shape))) }
        set { checked(try assign(newValue, indices.map(\.selection))) }
    }

    /// The last axes of the tensor: `t[..., 0]`.
    public subscript(_ leading: UnboundedRange, _ indices: any TensorIndex...) -> Tensor {
        get { checked(try mapped(Selection([.rest] + indices.map(\.selection), of: shape))) }
        set { checked(try assign(newValue, [.rest] + indices.map(\.selection))) }
    }

    /// Slices along the first axis at integer `positions`, or the elements where a bool tensor is true.
    ///
    /// Source: indexing with a tensor.
    public subscript(_ positions: Tensor) -> Tensor {
        guard positions.dtype == .bool else { return indexSelect(0, positions) }
        let rank = positions.rank
        demand(
            rank <= self.rank && Array(shape[..<rank]) == positions.shape,
            "subscript: a mask of shape \(positions.shape) for a tensor of shape \(shape)")
        let chosen = positions.array.elements(as: Bool.self).enumerated().filter(\.element).map(\.offset)
        return reshape([positions.count] + shape[rank...]).indexSelect(0, Tensor(NDArray(chosen)))
    }

    /// Writes `value`, which broadcasts, to a part of the tensor, in place.
    ///
    /// Throws `inPlaceOnLeaf` for a leaf that requires gradients while recording, `ShapeError` when values do not fit.
    public func assign(_ value: Tensor, at indices: any TensorIndex...) throws {
        try assign(value, indices.map(\.selection))
    }

    private func assign(_ value: Tensor, _ indices: [AxisSelection]) throws {
        let selection = try Selection(indices, of: shape)
        let values = value.to(dtype)
        if !GradMode.isEnabled || !(requiresGrad || values.requiresGrad) {
            return try mutate { try selection.assign(values.array, to: &$0) }
        }
        try applyInPlace(SelectionAssignment(selection: selection), values)
    }
}
