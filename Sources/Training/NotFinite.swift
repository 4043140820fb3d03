import Autograd
import Foundation
import GraphIR
import NN
import Operators
import TensorCore

/// A loss or gradient that stopped being a number: where it came from, and what helps.
public struct NotFinite: Sendable, CustomStringConvertible {
    /// What is no finite number.
    public enum Value: Sendable, Equatable {
        case loss(Double)
        case gradient
    }

    public var value: Value
    /// Epoch and batch of the phase, counted from 1.
    public var epoch: Int
    public var phase: Phase
    public var batch: Int
    /// The first place, in forward order, that is not finite: `fc.weight (a parameter)`.
    public var place: String
    public var learningRate: Double
    public var bestEpoch: Int?

    public var description: String {
        let what =
            switch value {
            // The sign of a NaN means nothing.
            case .loss(let loss): "the loss became \(loss.isNaN ? Double.nan : loss)"
            case .gradient: "a gradient is not finite"
            }
        return "\(what) in epoch \(epoch), \(phase.rawValue) batch \(batch); first in \(place). "
            + "Lower the learning rate (--lr \(String(format: "%g", learningRate / 10))), or clip gradients (--clip-norm 1)"
    }
}

extension CutModel {
    /// Where `features` first lead to a value that is not finite, in forward order; for gradients, the last layer that has
    /// such a one: backward it is the first.
    func firstNotFinite(_ features: [NDArray], gradients: Bool) -> String {
        for (id, array) in zip(cut.boundary, features) where !array.allFinite() {
            return "\(name(of: id)), computed by the frozen part"
        }
        let parameters = module.namedParameters().filter { $0.parameter.requiresGrad }
        if gradients, let found = parameters.last(where: { !($0.parameter.grad?.array.allFinite() ?? true) }) {
            return "the gradient of \(found.name)"
        }
        let broken = parameters.filter { !$0.parameter.array.allFinite() }.map(\.name)
        return noGrad { firstNotFiniteNode(features, broken) } ?? "the loss itself, of finite logits"
    }

    /// Runs the trainable part node by node.
    private func firstNotFiniteNode(_ features: [NDArray], _ broken: [String]) -> String? {
        let count = features.first?.shape[0] ?? 0
        // Where the graph takes one batch size only, those of its first batch.
        let shown =
            relations.closedBatch.map { size in features.map { $0.filled(to: size).rows(0..<size) } } ?? features
        guard var known = try? boundaryValues(shown),
            let constants = try? constants(for: relations.closedBatch ?? count)
        else { return nil }
        let layers = Dictionary(uniqueKeysWithValues: module.layers.map { ($0.nodes[0], $0.path) })
        for index in cut.suffix {
            let path = layers[index]
            if let path, let parameter = broken.first(where: { $0.hasPrefix("\(path).") }) {
                return "\(parameter), a parameter that the step before made so"
            }
            guard let made = try? module.run([index], known, constants: constants) else { return nil }
            known.merge(made) { _, new in new }
            let isFinite = made.allSatisfy { $1.array.allFinite() }
            if !isFinite { return "the output of \(path ?? module.graph.nodes[index].label)" }
        }
        return nil
    }

    private func name(of value: ValueID) -> String { "'\(module.graph.values[value].name)'" }
}
