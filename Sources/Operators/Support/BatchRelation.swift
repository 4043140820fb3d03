import TensorCore

/// What a value of a graph is to the batch of pictures that is fed in.
///
/// It decides what may be done with a value: one of `images` can be kept, shuffled, split and joined by picture; every other is
/// computed for the batch at hand.
public enum BatchRelation: Sendable, Hashable {
    /// Depends on nothing that is fed in: weights, and what is computed of them and of fixed sizes.
    case constant
    /// Depends on the number of pictures, not on what they show: `Shape(x)`, `Range(N)`.
    case counted
    /// Made of rows that belong to one picture each and depend on that picture alone.
    case images(PictureAxis)
    /// Anything else: several pictures meet, or nothing is known.
    case mixed

    /// Where the pictures lie; nil unless the value is one of `images`.
    public var pictures: PictureAxis? {
        if case .images(let pictures) = self { pictures } else { nil }
    }
}

/// The axis along which the pictures of a value lie.
///
/// Of `repeats · N · rows` places along the axis, picture i has the places `r · N · rows + i · rows + j` with `0 ≤ r < repeats` and
/// `0 ≤ j < rows`. `[N, C, H, W]` is axis 0 with one row; windows `[4N, 49, C]` have four rows; tokens `[17, N, C]` lie on axis
/// 1, and joined with the axis before it, `[17 · N, C]`, they are repeated 17 times.
public struct PictureAxis: Sendable, Hashable {
    public var axis: Int
    public var repeats: Int
    public var rows: Int

    public init(axis: Int = 0, repeats: Int = 1, rows: Int = 1) {
        self.axis = axis
        self.repeats = repeats
        self.rows = rows
    }

    /// True for `[N, ...]`: a row of the first axis for each picture.
    public var isLeading: Bool { axis == 0 && repeats == 1 && rows == 1 }

    /// Places along the axis for so many pictures.
    public func size(_ pictures: Int) -> Int { repeats * pictures * rows }

    /// Elements of `shape` before a picture's: `shape` in the order of its elements is `[outer, N, inner]`.
    public func outer(_ shape: [Int]) -> Int { shape[..<axis].reduce(repeats, *) }

    /// Elements of `shape` that a picture has in a row.
    public func inner(_ shape: [Int]) -> Int { shape[(axis + 1)...].reduce(rows, *) }

    /// The axis of `shape` whose elements, in their order, are `[outer, N, inner]`; nil where no axis is.
    ///
    /// - `preferred`: which axis to take where several would do, as with one picture.
    init?(outer: Int, inner: Int, shape: [Int], pictures: Int, preferred: Int = 0) {
        func candidate(_ axis: Int) -> PictureAxis? {
            let before = shape[..<axis].reduce(1, *), after = shape[(axis + 1)...].reduce(1, *)
            guard before > 0, after > 0, outer % before == 0, inner % after == 0 else { return nil }
            let found = PictureAxis(axis: axis, repeats: outer / before, rows: inner / after)
            return found.size(pictures) == shape[axis] ? found : nil
        }
        let order = (shape.indices.contains(preferred) ? [preferred] : []) + Array(shape.indices)
        guard let found = order.lazy.compactMap(candidate).first else { return nil }
        self = found
    }

    /// The same places on another axis.
    func moved(to axis: Int) -> PictureAxis { PictureAxis(axis: axis, repeats: repeats, rows: rows) }
}

extension PictureAxis {
    /// The rows of each picture of a batch: `[N, ...]`, one row of the first axis for each.
    public func split(_ array: NDArray, pictures: Int) throws -> NDArray {
        if isLeading { return array }
        let outer = outer(array.shape), inner = inner(array.shape)
        return try array.reshaped([outer, pictures, inner]).transposed([1, 0, 2])
    }

    /// The inverse of `split`: a value of the graph from rows of pictures. `shape` is that of a value of any number of pictures.
    public func join(_ rows: NDArray, shape: [Int]) throws -> NDArray {
        if isLeading { return rows }
        let pictures = rows.shape[0]
        let whole = try rows.reshaped([pictures, outer(shape), inner(shape)]).transposed([1, 0, 2])
        return whole.reshaped(self.shape(shape, pictures: pictures))
    }

    /// `shape` with as many places along the axis as so many pictures have.
    public func shape(_ shape: [Int], pictures: Int) -> [Int] {
        var result = shape
        result[axis] = size(pictures)
        return result
    }
}

/// A node's operands and results at a batch of some size: what the rules of `Operator.relation` go by.
///
/// The functions are the usual rules; each answers `counted` where no operand is of pictures.
public struct BatchOperands {
    /// What is known of one operand.
    public struct Operand {
        public var relation: BatchRelation
        public var shape: [Int]
        /// Of a constant, and of counted values as far as they are small.
        public var value: NDArray?

        public init(_ relation: BatchRelation, _ shape: [Int], value: NDArray? = nil) {
            self.relation = relation
            self.shape = shape
            self.value = value
        }
    }

    public let pictures: Int
    public let inputs: [Operand?]
    /// Shapes of the results.
    public let outputs: [[Int]]
    /// The same shapes at another batch size, where there is one.
    public let elsewhere: (pictures: Int, outputs: [[Int]])?
    /// Which axis a result's pictures are taken to lie on where its shape leaves several, as with one picture; by default the
    /// operand's.
    public var preferredAxis: Int?

    public init(
        pictures: Int, inputs: [Operand?], outputs: [[Int]], elsewhere: (pictures: Int, outputs: [[Int]])? = nil
    ) {
        self.pictures = pictures
        self.inputs = inputs
        self.outputs = outputs
        self.elsewhere = elsewhere
    }

    /// True when an operand is of pictures.
    public var hasPictures: Bool { inputs.contains { $0?.relation.pictures != nil } }

    public func operand(_ index: Int) -> Operand? { index < inputs.count ? inputs[index] : nil }

    /// What is true of every operator: nothing, when pictures go in.
    public var unknown: BatchRelation { hasPictures ? .mixed : .counted }

    /// True when every operand but those at `indices` is a constant.
    func areConstant(except indices: Int...) -> Bool {
        inputs.indices.allSatisfy { indices.contains($0) || inputs[$0] == nil || inputs[$0]?.relation == .constant }
    }

    /// True when a constant gives every picture the same at the places of `pictures`, which lies on an axis of the constant.
    func isUniform(_ operand: Operand, along axis: PictureAxis) -> Bool {
        guard operand.relation == .constant else { return false }
        if operand.shape[axis.axis] == 1 || pictures == 1 { return true }
        guard operand.shape[axis.axis] == axis.size(pictures), let value = operand.value, value.shape == operand.shape
        else { return false }
        let outer = axis.outer(value.shape), bytes = axis.inner(value.shape) * value.dtype.size
        return value.withUnsafeBytes { all in
            (0..<outer).allSatisfy { o in
                (1..<pictures).allSatisfy { i in
                    let first = o * pictures * bytes
                    return all[first..<first + bytes].elementsEqual(all[first + i * bytes..<first + (i + 1) * bytes])
                }
            }
        }
    }

    // MARK: - The usual rules

    /// Operands that are broadcast, aligned at their last axes, and work on each other place by place except along the axes
    /// `touching` of the result: elementwise functions, `Concat`, `Where`.
    public func aligned(touching: [Int] = [], output: Int = 0) -> BatchRelation {
        guard hasPictures else { return .counted }
        let shape = outputs[output]
        var found: PictureAxis?
        for case let operand? in inputs {
            guard let pictures = operand.relation.pictures else { continue }
            let moved = pictures.moved(to: pictures.axis + shape.count - operand.shape.count)
            guard found ?? moved == moved else { return .mixed }
            found = moved
        }
        guard let found, shape.indices.contains(found.axis), !touching.contains(found.axis),
            shape[found.axis] == found.size(pictures)
        else {
            return .mixed
        }
        for case let operand? in inputs where operand.relation.pictures == nil {
            let axis = found.axis - (shape.count - operand.shape.count)
            if axis < 0, operand.relation == .constant { continue }
            guard operand.shape.indices.contains(axis), isUniform(operand, along: found.moved(to: axis)) else {
                return .mixed
            }
        }
        return .images(found)
    }

    /// The first operand is changed along the axes `touching` only, which stay in their places; all others are constants that
    /// know nothing of its other axes.
    public func along(touching: [Int] = [], output: Int = 0) -> BatchRelation {
        guard hasPictures else { return .counted }
        guard let x = operand(0), let found = x.relation.pictures, areConstant(except: 0),
            !touching.contains(found.axis), outputs[output].count == x.shape.count,
            outputs[output][found.axis] == x.shape[found.axis]
        else { return .mixed }
        return .images(found)
    }

    /// The first operand is `[N, ...]`, or rows of pictures, and every row is treated by itself: convolutions, pooling.
    public func rows(output: Int = 0) -> BatchRelation {
        guard hasPictures else { return .counted }
        guard let x = operand(0), let found = x.relation.pictures, found.axis == 0, areConstant(except: 0),
            outputs[output].first == x.shape[0]
        else { return .mixed }
        return .images(found)
    }

    /// The first operand's elements in their order under another shape; the other operands only say which.
    public func reshaped(output: Int = 0) -> BatchRelation {
        guard hasPictures else { return .counted }
        guard let x = operand(0), let found = x.relation.pictures, !inputs.dropFirst().contains(where: isPictures),
            let moved = PictureAxis(
                outer: found.outer(x.shape), inner: found.inner(x.shape), shape: outputs[output], pictures: pictures,
                preferred: preferredAxis ?? found.axis)
        else { return .mixed }
        return .images(moved)
    }

    private func isPictures(_ operand: Operand?) -> Bool { operand?.relation.pictures != nil }

    /// The first operand without the axes `axes`, or with 1 in their places.
    public func reduced(_ axes: [Int], keepDims: Bool) -> BatchRelation {
        guard hasPictures else { return .counted }
        guard let found = operand(0)?.relation.pictures, areConstant(except: 0), !axes.contains(found.axis) else {
            return .mixed
        }
        return .images(keepDims ? found : found.moved(to: found.axis - axes.count { $0 < found.axis }))
    }

    /// The first operand stretched: the others say to what shape. A constant that is stretched along one axis as far as there
    /// are pictures gives each the same.
    public func stretched(output: Int = 0) -> BatchRelation {
        let shape = outputs[output]
        if let x = operand(0), let found = x.relation.pictures {
            let axis = found.axis + shape.count - x.shape.count
            guard !inputs.dropFirst().contains(where: isPictures), shape.indices.contains(axis),
                shape[axis] == x.shape[found.axis]
            else {
                return .mixed
            }
            return .images(found.moved(to: axis))
        }
        guard !hasPictures else { return .mixed }
        guard operand(0)?.relation == .constant else { return .counted }
        return grown(from: operand(0)?.shape ?? [], output: output)
    }

    /// Something of the shape `from`, the same for every picture, repeated along the one axis that grows with the pictures.
    public func grown(from given: [Int] = [], output: Int = 0) -> BatchRelation {
        guard !hasPictures else { return .mixed }
        let shape = outputs[output]
        guard let elsewhere, elsewhere.outputs[output].count == shape.count else { return .counted }
        let other = elsewhere.outputs[output]
        let growing = shape.indices.filter { shape[$0] != other[$0] }
        guard growing.count == 1, let axis = growing.first, shape[axis] % pictures == 0,
            shape[axis] / pictures * elsewhere.pictures == other[axis]
        else { return .counted }
        let rows = shape[axis] / pictures, own = axis - (shape.count - given.count)
        let isSame = own < 0 || given[own] == 1 || rows % given[own] == 0
        return isSame ? .images(PictureAxis(axis: axis, rows: rows)) : .counted
    }
}
