import Autograd
import TensorCore

extension Op {
    /// The data with updates at indices along an axis, put in place of the element or combined with it by `reduction`.
    ///
    /// Updates of one place follow each other in their order: without a reduction the last wins. ONNX ScatterElements 11...;
    /// `Tensor.scatter`, `Tensor.scatter_add`, `Tensor.scatter_reduce`.
    public struct ScatterElements: CompositeOperator {
        public static let opType = "ScatterElements"
        public static var maximumInputs: Int { 3 }
        public static let opsets = 11...OperatorSet.newest
        let axis: Int
        let reduction: Reduction

        /// What becomes of an element and its update.
        public enum Reduction: String, Sendable, CaseIterable {
            case none, add, mul, max, min
        }

        public init(axis: Int = 0, reduction: Reduction = .none) {
            self.axis = axis
            self.reduction = reduction
        }

        public init(_ node: NodeAttributes) throws {
            axis = try node.int("axis", default: 0)
            let name = try node.string("reduction", default: "none")
            guard let reduction = Reduction(rawValue: name) else {
                throw node.unsupported("reduction", "expected none, add, mul, max or min, got '\(name)'")
            }
            self.reduction = reduction
        }

        public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation {
            let shape = batch.outputs[output]
            guard let axis = try? axis(axis, rank: shape.count),
                batch.inputs.allSatisfy({ $0?.shape.count == shape.count })
            else { return batch.unknown }
            // Operands may be longer than the indices along other axes.
            return batch.aligned(touching: [axis])
        }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] {
            let x = try required(inputs, 0, "data")
            return [ValueInfo(x.dtype, x.shape)]
        }

        public func expand(_ inputs: [Tensor?]) throws -> [Tensor] {
            let (x, updates) = (try required(inputs, 0, "data"), try required(inputs, 2, "updates"))
            let gather = ElementGather(
                indices: try required(inputs, 1, "indices").array, axis: try axis(axis, rank: x.rank))
            switch reduction {
            case .none: return [try apply(ElementScatter(gather: gather), x, updates)]
            case .add: return [try apply(Op.Add(), x, apply(Adjoint(map: gather, inputShape: x.shape), updates))]
            case .mul: return [try folded(x, gather, updates) { try apply(Op.Mul(), $0, $1) }]
            case .max: return [try folded(x, gather, updates) { try $0.extreme($1, isLarger: true) }]
            case .min: return [try folded(x, gather, updates) { try $0.extreme($1, isLarger: false) }]
            }
        }

        /// Combines in rounds, of which each has at most one update for a place.
        private func folded(
            _ x: Tensor, _ gather: ElementGather, _ updates: Tensor, _ combine: (Tensor, Tensor) throws -> Tensor
        ) throws -> Tensor {
            let positions = NDArray(Array(0..<x.count), shape: x.shape)
            let places = try positions.gatherElements(gather.indices, axis: gather.axis).integers()
            guard places.count == updates.count else {
                throw failure("expected updates of shape \(gather.indices.shape), got \(updates.shape)")
            }
            var rounds: [[Int]] = []
            var updatesOfPlace: [Int: Int] = [:]
            for (update, place) in places.enumerated() {
                let round = updatesOfPlace[place, default: 0]
                updatesOfPlace[place] = round + 1
                if round == rounds.count { rounds.append([]) }
                rounds[round].append(update)
            }
            let flatUpdates = try updates.reshaped([updates.count])
            var result = try x.reshaped([x.count])
            for round in rounds {
                let target = ElementGather(indices: NDArray(round.map { places[$0] }), axis: 0)
                let source = ElementGather(indices: NDArray(round), axis: 0)
                let combined = try combine(result.mapped(target), flatUpdates.mapped(source))
                result = try apply(ElementScatter(gather: target), result, combined)
            }
            return try result.reshaped(x.shape)
        }

        public static func samples() throws -> [OperatorSample] {
            let (x, updates) = (OperatorSample.values([3, 3]), OperatorSample.values([2, 2], seed: 1))
            let indices = NDArray([0, -1, 1, 0], shape: [2, 2])
            let repeated = NDArray([0, -1, 0, 2], shape: [2, 2])
            return [
                OperatorSample("axis 0", Op.ScatterElements(), [x, indices, updates], differentiable: [0, 2]),
                OperatorSample(
                    "last axis", Op.ScatterElements(axis: -1), [x, indices, updates], differentiable: [0, 2]),
                OperatorSample(
                    "rows", Op.ScatterElements(axis: 1), [x.rows(0..<2), indices, updates], differentiable: [0, 2]),
            ]
                + Reduction.allCases.dropFirst().map {
                    OperatorSample(
                        "\($0)", Op.ScatterElements(reduction: $0), [x, repeated, updates], differentiable: [0, 2])
                }
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
