import Autograd
import GraphIR
import NN
import TensorCore

/// A model divided where training enters: the frozen prefix runs as a plan on arrays, the rest as modules on the tape.
///
/// Unfreezing other parameters means `recut()`, not a new model.
public final class CutModel {
    public let module: GraphModule
    public private(set) var cut: Cut
    /// How often the model was cut: values at an earlier cut are not those at this one.
    public private(set) var cutNumber = 0
    /// Values of everything constant on either side of the cut, without what trains: its values are the parameters'.
    private(set) var constants: [ValueID: NDArray] = [:]
    private var plan: InferencePlan
    private let suffix: CompiledSuffix
    let input: ValueID

    /// Cuts `module` at its unfrozen parameters. Throws `GraphError` when a constant part of the graph cannot be computed.
    public init(_ module: GraphModule) throws {
        self.module = module
        input = try module.graph.pictureInput()
        cut = Cut()
        plan = InferencePlan(module.graph, nodes: [], constants: [:], results: [])
        suffix = CompiledSuffix(module)
        try recut()
    }

    /// Cuts again, after flags or frozen values have changed.
    public func recut() throws {
        cutNumber += 1
        cut = module.cut(training: module.isTraining)
        constants = try module.graph.computeConstants(cut.constant, from: module.currentConstants())
        // A second owner would make the first change in place copy the array.
        for (value, tensor) in module.state() where tensor.requiresGrad { constants[value] = nil }
        plan = InferencePlan(module.graph, nodes: cut.prefix, constants: constants, results: cut.boundary)
    }

    /// True when the boundary is the picture itself: nothing is frozen ahead of the first trainable layer.
    public var hasPrefix: Bool { !cut.prefix.isEmpty }

    /// Values at the boundary for a batch of pictures, shaped as the file's input.
    ///
    /// - `alone`: as `InferencePlan.run`, for values that are kept.
    public func features(_ images: NDArray, alone: Bool = false) throws -> [NDArray] {
        try plan.run([input: images], alone: alone)
    }

    /// Logits `[N, classes]` from the values at the boundary, recorded when grad mode is on.
    public func logits(_ features: [NDArray]) throws -> Tensor {
        let given = Dictionary(uniqueKeysWithValues: zip(cut.boundary, features.map { Tensor($0) }))
        let known = try suffix.run(cut.suffix, given, constants: constants)
        guard let logits = known[module.logits] else { throw GraphError("the graph", "computed no logits") }
        // A head that keeps spatial axes of size 1 (a 1x1 convolution) still means one row of logits per picture.
        guard logits.rank != 2, let batch = logits.shape.first else { return logits }
        let classes = batch == 0 ? 0 : logits.count / batch
        return logits.reshape([batch, classes])
    }
}
