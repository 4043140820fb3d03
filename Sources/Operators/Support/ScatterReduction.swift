import Autograd
import TensorCore

/// What becomes of an element and its update in `ScatterElements` and `ScatterND`.
public enum ScatterReduction: String, Sendable, CaseIterable {
    case none, add, mul, max, min

    init(_ node: NodeAttributes) throws {
        let name = try node.string("reduction", default: "none")
        guard let reduction = ScatterReduction(rawValue: name) else {
            throw node.unsupported("reduction", "expected none, add, mul, max or min, got '\(name)'")
        }
        self = reduction
    }
}

/// x with updates where `gather` reads; the last of several for one place wins. Inputs x and the updates.
struct ScatteredUpdate<Gather: ScatterableMap>: DifferentiableFunction {
    let gather: Gather
    var name: String { "Scatter" }

    func forward(_ inputs: [NDArray?]) throws -> [NDArray] {
        guard let x = inputs[0], let updates = inputs[1] else { return [] }
        return [try gather.scatter(updates, into: x)]
    }
    func saved(for needs: IndexSet64) -> SavedValues { .none }
    func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
        guard let g = gradOutputs[0] else { return [nil, nil] }
        let zeros = Tensor.zeros(context.inputShape(1), dtype: g.dtype)
        return [
            context.needs(0) ? try apply(self, g, zeros) : nil,
            context.needs(1) ? try gradUpdates(g, zeros, x: context.inputShape(0)) : nil,
        ]
    }

    /// What arrives at each update's place, but only for the update that stayed there.
    private func gradUpdates(_ g: Tensor, _ zeros: Tensor, x: [Int]) throws -> Tensor {
        let read = try g.mapped(gather)
        let numbers = NDArray(Array(0..<zeros.count), shape: zeros.shape)
        let last = try gather.apply(gather.scatter(numbers, into: .zeros(x, dtype: .int64)))
        let stays = try NDArray.compare(.equal, last, numbers)
        if stays.elements(as: Bool.self).allSatisfy({ $0 }) { return read }
        return try apply(Op.Where(), Tensor(stays), read, Tensor.literal(0, dtype: g.dtype))
    }
}

/// A gather that can also write to where it reads.
protocol ScatterableMap: LinearMap {
    func scatter(_ updates: NDArray, into x: NDArray) throws -> NDArray
}

extension Tensor {
    /// This tensor with `updates` combined with the elements that `gather` reads.
    ///
    /// Throws `ShapeError` when the updates do not have the shape of what is read.
    func scattering(_ updates: Tensor, at gather: some ScatterableMap, _ reduction: ScatterReduction) throws -> Tensor {
        switch reduction {
        case .none: return try apply(ScatteredUpdate(gather: gather), self, updates)
        case .add: return try apply(Op.Add(), self, apply(Adjoint(map: gather, inputShape: shape), updates))
        case .mul: return try folding(updates, at: gather) { try apply(Op.Mul(), $0, $1) }
        case .max: return try folding(updates, at: gather) { try $0.extreme($1, isLarger: true) }
        case .min: return try folding(updates, at: gather) { try $0.extreme($1, isLarger: false) }
        }
    }

    /// Combines in rounds, of which each has at most one update for a place.
    private func folding(
        _ updates: Tensor, at gather: some LinearMap, _ combine: (Tensor, Tensor) throws -> Tensor
    ) throws -> Tensor {
        let places = try gather.apply(NDArray(Array(0..<count), shape: shape))
        guard places.shape == updates.shape else {
            throw ShapeError("Scatter", "expected updates of shape \(places.shape), got \(updates.shape)")
        }
        var rounds: [[Int]] = []
        var updatesOfPlace: [Int: Int] = [:]
        let flatPlaces = places.integers()
        for (update, place) in flatPlaces.enumerated() {
            let round = updatesOfPlace[place, default: 0]
            updatesOfPlace[place] = round + 1
            if round == rounds.count { rounds.append([]) }
            rounds[round].append(update)
        }
        let flatUpdates = try updates.reshaped([updates.count])
        var result = try reshaped([count])
        for round in rounds {
            let target = ElementGather(indices: NDArray(round.map { flatPlaces[$0] }), axis: 0)
            let source = ElementGather(indices: NDArray(round), axis: 0)
            let combined = try combine(result.mapped(target), flatUpdates.mapped(source))
            result = try apply(ScatteredUpdate(gather: target), result, combined)
        }
        return try result.reshaped(shape)
    }
}
