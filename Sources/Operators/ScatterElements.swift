import Autograd
import TensorCore

extension Op {
    /// The data with updates at indices along an axis; of several updates of one place the last wins.
    ///
    /// ONNX ScatterElements 11... with reduction `none` or `add`; `Tensor.scatter`, `Tensor.scatter_add`.
    public struct ScatterElements: CompositeOperator {
        public static let opType = "ScatterElements"
        public static let opsets = 11...OperatorSet.newest
        let axis: Int
        let isSum: Bool

        public init(axis: Int = 0, sum: Bool = false) {
            self.axis = axis
            isSum = sum
        }

        public init(_ node: NodeAttributes) throws {
            axis = try node.int("axis", default: 0)
            let reduction = try node.string("reduction", default: "none")
            guard reduction == "none" || reduction == "add" else {
                throw node.unsupported("reduction", "'\(reduction)' is not supported, 'none' and 'add' are")
            }
            isSum = reduction == "add"
        }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] {
            let x = try required(inputs, 0, "data")
            return [ValueInfo(x.dtype, x.shape)]
        }

        public func expand(_ inputs: [Tensor?]) throws -> [Tensor] {
            let (x, updates) = (try required(inputs, 0, "data"), try required(inputs, 2, "updates"))
            let gather = ElementGather(
                indices: try required(inputs, 1, "indices").array, axis: try axis(axis, rank: x.rank))
            if isSum { return [try x + apply(Adjoint(map: gather, inputShape: x.shape), updates)] }
            return [try apply(ElementScatter(gather: gather), x, updates)]
        }

        public static func samples() throws -> [OperatorSample] {
            let (x, updates) = (OperatorSample.values([3, 3]), OperatorSample.values([2, 2], seed: 1))
            let indices = NDArray([0, -1, 1, 0], shape: [2, 2])
            return [
                OperatorSample("axis 0", Op.ScatterElements(), [x, indices, updates], differentiable: [0, 2]),
                OperatorSample(
                    "last axis", Op.ScatterElements(axis: -1), [x, indices, updates], differentiable: [0, 2]),
                OperatorSample("sum", Op.ScatterElements(sum: true), [x, indices, updates], differentiable: [0, 2]),
            ]
        }
    }
}

/// x with updates where `gather` reads: inputs x and the updates.
private struct ElementScatter: DifferentiableFunction {
    let gather: ElementGather
    var name: String { "Scatter" }

    func forward(_ inputs: [NDArray?]) throws -> [NDArray] {
        guard let x = inputs[0], let updates = inputs[1] else { return [] }
        return [try x.scatteredElements(gather.indices, updates: updates, axis: gather.axis)]
    }
    func saved(for needs: IndexSet64) -> SavedValues { .none }
    func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
        guard let g = gradOutputs[0] else { return [nil, nil] }
        let zeros = Tensor.zeros(context.inputShape(1), dtype: g.dtype)
        return [
            context.needs(0) ? try apply(self, g, zeros) : nil, context.needs(1) ? try g.mapped(gather) : nil,
        ]
    }
}

extension Tensor {
    /// This tensor with the elements of `source` at `indices` along `dim`. Source: `Tensor.scatter`.
    public func scatter(_ dim: Int, _ indices: Tensor, _ source: Tensor) -> Tensor {
        checked(try Op.ScatterElements(axis: dim)([self, indices, source])[0])
    }
}
