import TensorCore

/// Which element's index `ArgMax` and `ArgMin` look for.
struct ArgAttributes {
    var axis = 0
    var keepDims = true
    /// Of equal elements the last one instead of the first.
    var selectLast = false
}

/// `ArgMax` or `ArgMin`: the index of an extreme element along an axis, a constant for autograd.
protocol ArgOperator: Operator {
    var attributes: ArgAttributes { get }
    init(_ attributes: ArgAttributes)
    func indices(_ x: NDArray) throws -> NDArray
}

extension ArgOperator {
    public init(_ node: NodeAttributes) throws {
        self.init(
            ArgAttributes(
                axis: try node.int("axis", default: 0), keepDims: try node.bool("keepdims", default: true),
                selectLast: try node.bool("select_last_index", default: false)))
    }

    public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] {
        let shape = try required(inputs, 0, "data").shape
        let axis = try axis(attributes.axis, rank: shape.count)
        return [ValueInfo(.int64, reducedShape(shape, [axis], keepDims: attributes.keepDims))]
    }

    public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation {
        guard let rank = batch.operand(0)?.shape.count, let axis = try? axis(attributes.axis, rank: rank) else {
            return batch.unknown
        }
        return batch.reduced([axis], keepDims: attributes.keepDims)
    }

    public func forward(_ inputs: [NDArray?]) throws -> [NDArray] { [try indices(required(inputs, 0, "data"))] }

    public static func samples() throws -> [OperatorSample] {
        let x = NDArray([1.0, 3, 3, 0, 0, 2], shape: [2, 3])
        let last = ArgAttributes(axis: -1, keepDims: false, selectLast: true)
        return [
            OperatorSample("first", Self(ArgAttributes(axis: 1)), [x], differentiable: []),
            OperatorSample("last", Self(last), [x], differentiable: []),
        ]
    }
}
