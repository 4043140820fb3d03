import Autograd
import TensorCore

extension Op {
    /// Elements start ..< end by step along axes; bounds count from the end when negative and are clamped.
    ///
    /// Bounds are attributes before operator set 10, inputs since. ONNX Slice 1...; Python's `x[start:end:step]`.
    public struct Slice: CompositeOperator {
        public static let opType = "Slice"
        public static var maximumInputs: Int { 5 }
        let attributes: SliceBounds?

        public init() { attributes = nil }

        public init(_ node: NodeAttributes) throws {
            guard node.opset < 10 else {
                attributes = nil
                return
            }
            let (starts, ends) = (try node.ints("starts") ?? [], try node.ints("ends") ?? [])
            attributes = SliceBounds(
                starts: starts, ends: ends, axes: try node.ints("axes") ?? Array(0..<starts.count),
                steps: [Int](repeating: 1, count: starts.count))
        }

        private func bounds(_ inputs: [NDArray?]) throws -> SliceBounds {
            if let attributes { return attributes }
            let starts = try required(inputs, 1, "starts").integers()
            return SliceBounds(
                starts: starts, ends: try required(inputs, 2, "ends").integers(),
                axes: optional(inputs, 3)?.integers() ?? Array(0..<starts.count),
                steps: optional(inputs, 4)?.integers() ?? [Int](repeating: 1, count: starts.count))
        }

        public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation {
            guard batch.hasPictures else { return .counted }
            let given = batch.inputs.map { $0?.value }
            guard let bounds = try? bounds(given), let x = batch.operand(0), let found = x.relation.pictures else {
                return .mixed
            }
            // Along the pictures nothing may be left out or turned round.
            let rank = x.shape.count
            let isWhole = zip(bounds.axes, bounds.steps).allSatisfy { axis, step in
                normalizedAxis(axis, rank: rank) != found.axis || step == 1
            }
            return isWhole ? batch.along() : .mixed
        }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] {
            let x = try required(inputs, 0, "data")
            var known: [NDArray?] = [nil]
            if attributes == nil {
                for (index, name) in ["starts", "ends", "axes", "steps"].enumerated() {
                    let isGiven = index < 2 || optional(inputs, index + 1) != nil
                    known.append(isGiven ? try constant(inputs, index + 1, name) : nil)
                }
            }
            return [ValueInfo(x.dtype, try bounds(known).shape(of: x.shape))]
        }

        public func expand(_ inputs: [Tensor?]) throws -> [Tensor] {
            let x = try required(inputs, 0, "data")
            return [try x.mapped(bounds(inputs.map { $0?.array }))]
        }

        public static func samples() throws -> [OperatorSample] {
            let x = OperatorSample.values([4, 5])
            func inputs(_ starts: [Int], _ ends: [Int], _ axes: [Int], _ steps: [Int]) -> [NDArray?] {
                [x, NDArray(starts), NDArray(ends), NDArray(axes), NDArray(steps)]
            }
            let legacy = try Op.Slice(
                NodeAttributes(
                    opType: opType, opset: 9, ["starts": .ints([1]), "ends": .ints([-1]), "axes": .ints([1])]))
            return [
                OperatorSample("rows", Op.Slice(), [x, NDArray([1]), NDArray([3])], differentiable: [0]),
                OperatorSample("steps", Op.Slice(), inputs([0, 1], [4, 100], [0, 1], [2, 3]), differentiable: [0]),
                OperatorSample(
                    "backwards", Op.Slice(), inputs([-1, 4], [-100, 0], [0, -1], [-1, -2]), differentiable: [0]),
                OperatorSample("empty", Op.Slice(), inputs([3], [2], [1], [1]), differentiable: [0]),
                OperatorSample("attributes", legacy, [x], differentiable: [0]),
            ]
        }
    }
}

/// Elements `starts ..< ends` by `steps` along `axes`, as ONNX reads them.
struct SliceBounds: LinearMap {
    var starts: [Int]
    var ends: [Int]
    var axes: [Int]
    var steps: [Int]
    var name: String { "Slice" }

    func apply(_ x: NDArray) throws -> NDArray { try x.slice(starts: starts, ends: ends, axes: axes, steps: steps) }
    func applyAdjoint(_ gradOutput: NDArray, inputShape: [Int]) throws -> NDArray {
        try NDArray.sliceGradient(
            gradOutput, inputShape: inputShape, starts: starts, ends: ends, axes: axes, steps: steps)
    }

    func shape(of shape: [Int]) throws -> [Int] {
        try NDArray.sliceShape(shape, starts: starts, ends: ends, axes: axes, steps: steps)
    }
}

extension Tensor {
    func sliced(_ starts: [Int], _ ends: [Int], _ axes: [Int]) throws -> Tensor {
        let steps = [Int](repeating: 1, count: starts.count)
        return try mapped(SliceBounds(starts: starts, ends: ends, axes: axes, steps: steps))
    }

    /// `length` elements from `start` on along `dim`. Source: `torch.narrow`.
    public func narrow(_ dim: Int, _ start: Int, _ length: Int) -> Tensor {
        func narrowed() throws -> Tensor {
            let axis = try normalized([dim], "narrow")[0]
            let first = start < 0 ? start + shape[axis] : start
            guard first >= 0, length >= 0, first + length <= shape[axis] else {
                throw ShapeError("narrow", "\(length) elements from \(start) on exceed axis \(axis) of \(shape)")
            }
            return try sliced([first], [first + length], [axis])
        }
        return checked(try narrowed())
    }
}
