import Autograd
import GraphIR
import NN
import Operators
import TensorCore

/// A model divided where training enters: the frozen prefix runs as a plan on arrays, the rest as modules on the tape.
///
/// Unfreezing other parameters means `recut()`, not a new model. Values at the boundary are rows of pictures, `[N, ...]`, however
/// the graph arranges them. A graph that takes one batch size only is run in batches of that size.
public final class CutModel {
    public let module: GraphModule
    public private(set) var cut: Cut
    /// How often the model was cut: values at an earlier cut are not those at this one.
    public private(set) var cutNumber = 0
    /// Values of everything constant on either side of the cut, without what trains: its values are the parameters'.
    private(set) var constants: [ValueID: NDArray] = [:]
    /// What values are to the batch, for pictures of the model's size.
    public let relations: BatchRelations
    private var plan: InferencePlan
    private let suffix: CompiledSuffix
    private var counted: [Int: [ValueID: NDArray]] = [:]
    let input: ValueID

    /// Cuts `module` at its unfrozen parameters.
    ///
    /// - `imageSize`: of the pictures to come, where the file leaves it open or another one is used.
    /// - Throws: `GraphError` when a constant part of the graph cannot be computed, or no batch goes through it.
    public init(_ module: GraphModule, imageSize: (height: Int, width: Int)? = nil) throws {
        self.module = module
        input = try module.graph.pictureInput()
        relations = try module.batchRelations(imageSize: imageSize)
        cut = Cut()
        plan = InferencePlan(module.graph, nodes: [], constants: [:], results: [])
        suffix = CompiledSuffix(module)
        try recut()
    }

    /// Cuts again, after flags or frozen values have changed.
    public func recut() throws {
        cutNumber += 1
        cut = module.cut(training: module.isTraining, relations: relations)
        let given = module.currentConstants().merging(relations.known) { own, _ in own }
        constants = try module.graph.computeConstants(cut.constant, from: given)
        // A second owner would make the first change in place copy the array.
        for (value, tensor) in module.state() where tensor.requiresGrad { constants[value] = nil }
        counted = [:]
        plan = InferencePlan(
            module.graph, nodes: cut.prefix, constants: constants, results: cut.boundary, relations: relations,
            counted: cut.counted)
    }

    /// True when the boundary is the picture itself: nothing is frozen ahead of the first trainable layer.
    public var hasPrefix: Bool { !cut.prefix.isEmpty }

    /// Rows at the boundary, `[N, ...]` for each of its values, for a batch of pictures shaped as the file's input.
    ///
    /// - `alone`: as `InferencePlan.run`, for values that are kept.
    public func features(_ images: NDArray, alone: Bool = false) throws -> [NDArray] {
        let count = images.shape[0]
        guard let size = relations.closedBatch else { return try rows(images, count, alone: alone) }
        // A picture that is to have its values in any company fills a batch by itself.
        let parts = try stride(from: 0, to: count, by: alone ? 1 : size).map { first in
            let given = images.rows(first..<min(count, first + (alone ? 1 : size)))
            return try rows(given.filled(to: size), size, alone: false).map { $0.rows(0..<given.shape[0]) }
        }
        return try cut.boundary.indices.map { index in
            try NDArray.concatenate(parts.map { $0[index] }, axis: 0)
        }
    }

    private func rows(_ images: NDArray, _ count: Int, alone: Bool) throws -> [NDArray] {
        let values = try plan.run([input: images], alone: alone)
        return try zip(cut.boundary, values).map { id, value in
            try relations.axis(id)?.split(value, pictures: count) ?? value
        }
    }

    /// Logits `[N, classes]` from the rows at the boundary, recorded when grad mode is on.
    public func logits(_ features: [NDArray]) throws -> Tensor {
        let count = features.first?.shape[0] ?? 0
        guard let size = relations.closedBatch else { return try computeLogits(features, count) }
        let parts = try stride(from: 0, to: count, by: size).map { first in
            let own = min(size, count - first)
            let given = features.map { $0.rows(first..<first + own).filled(to: size) }
            let logits = try computeLogits(given, size)
            return own == size ? logits : logits.narrow(0, 0, own)
        }
        return parts.count == 1 ? parts[0] : cat(parts, dim: 0)
    }

    private func computeLogits(_ features: [NDArray], _ count: Int) throws -> Tensor {
        let known = try suffix.run(cut.suffix, boundaryValues(features), constants: constants(for: count))
        guard let logits = known[module.logits] else { throw GraphError("the graph", "computed no logits") }
        return try module.rowsOfLogits(logits, relations)
    }

    /// The values of the graph at the boundary, from rows of pictures.
    func boundaryValues(_ features: [NDArray]) throws -> [ValueID: Tensor] {
        let values = try zip(cut.boundary, features).map { id, rows in
            Tensor(try relations.axis(id)?.join(rows, shape: relations.shapes[id] ?? []) ?? rows)
        }
        return Dictionary(uniqueKeysWithValues: zip(cut.boundary, values))
    }

    /// Constants, and what depends on the number of pictures.
    func constants(for count: Int) throws -> [ValueID: NDArray] {
        if cut.counted.isEmpty { return constants }
        if let known = counted[count] { return constants.merging(known) { $1 } }
        let made = try module.graph.countedValues(
            cut.counted, pictures: count, relations: relations, constants: constants)
        if counted.count >= 8 { counted = [:] }
        counted[count] = made
        return constants.merging(made) { $1 }
    }
}

extension NDArray {
    /// The rows, and the last one again until there are `count`.
    func filled(to count: Int) -> NDArray {
        guard let own = shape.first, own < count, own > 0 else { return self }
        return NDArray(rows: (0..<count).map { (self, $0 < own ? $0 : own - 1) })
    }
}
