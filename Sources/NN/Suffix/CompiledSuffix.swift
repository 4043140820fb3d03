import Autograd
import GraphIR
import Operators
import TensorCore

/// Runs a trainable suffix, its leading convolutional part as one function of blocked images with a gradient of its own.
///
/// The values are those of `GraphModule.run`, up to rounding. What the program does not cover, and everything when a
/// boundary value requires gradients, runs node by node on the tape.
public final class CompiledSuffix {
    private let module: GraphModule
    private var prepared: [Key: Prepared] = [:]

    /// What a program holds for.
    private struct Key: Hashable {
        var nodes: [Int]
        var shapes: [ValueID: [Int]]
        /// Weights of convolutions and batch norms, which a new head replaces. The program keeps them alive.
        var layers: [ObjectIdentifier] = []
        /// Of the parameters; of a batch norm also whether it follows the batch.
        var flags: [Bool] = []
    }

    fileprivate struct Prepared {
        var program: SuffixProgram?
        var remaining: [Int]
        var forward: SuffixPlan?
        var recording: SuffixPlan?
    }

    /// Prepares nothing yet: programs are made for the nodes and shapes that `run` gets.
    public init(_ module: GraphModule) { self.module = module }

    /// As `GraphModule.run`.
    public func run(
        _ nodes: [Int], _ given: [ValueID: Tensor], constants: [ValueID: NDArray]
    ) throws -> [ValueID: Tensor] {
        let isUsable = given.values.allSatisfy { !$0.requiresGrad && $0.dtype == .float32 && $0.shape.count >= 1 }
        guard isUsable, let prepared = try preparation(nodes, given), let program = prepared.program else {
            return try module.run(nodes, given, constants: constants)
        }
        let plan = GradMode.isEnabled ? prepared.recording : prepared.forward
        guard let plan else { return try module.run(nodes, given, constants: constants) }
        let function = SuffixFunction(program, plan)
        let inputs: [Tensor?] = program.inputs.map { given[$0] } + program.parameters
        let outputs = try apply(function, inputs)
        for (norm, found) in function.session?.statistics ?? [] { try program.norms[norm].module.follow(found) }
        var known = given
        for ((id, _), output) in zip(program.outputs, outputs) { known[id] = output }
        return try module.run(prepared.remaining, known, constants: constants)
    }

    private func preparation(_ nodes: [Int], _ given: [ValueID: Tensor]) throws -> Prepared? {
        let shapes = given.mapValues(\.shape)
        guard let batch = shapes.values.map({ $0.first ?? 0 }).max(), batch > 0 else { return nil }
        let key = key(nodes, shapes)
        if let known = prepared[key] { return known }
        let built = try SuffixProgramBuilder(module, nodes: nodes, given: shapes, batch: batch)
        let made = Prepared(
            program: built?.program, remaining: built?.remaining ?? nodes,
            forward: built.map { SuffixPlan($0.program, isRecording: false) },
            recording: built.map { SuffixPlan($0.program, isRecording: true) })
        // Batch sizes are few, but flags may change from epoch to epoch.
        if prepared.count >= 8 { prepared = [:] }
        prepared[key] = made
        return made
    }

    /// Made for every batch, so it looks at the layers of `nodes` only.
    private func key(_ nodes: [Int], _ shapes: [ValueID: [Int]]) -> Key {
        var key = Key(nodes: nodes, shapes: shapes)
        for index in nodes {
            switch module.layerModule(ofNode: index) {
            case let layer as Conv2d:
                key.layers.append(ObjectIdentifier(layer.weight))
                key.flags += [layer.weight.requiresGrad, layer.bias?.requiresGrad ?? false]
            case let norm as BatchNorm2d:
                key.layers.append(ObjectIdentifier(norm))
                key.flags += [norm.weight?.requiresGrad ?? false, norm.bias?.requiresGrad ?? false, norm.followsBatch]
            default: break
            }
        }
        return key
    }
}

/// A `SuffixProgram` as a recorded function: boundary values and parameters to outputs.
///
/// First derivatives come from the session's backward pass. Under `createGraph`, and when the graph is walked a second time,
/// the program is composed of tensor operations and differentiated by the tape.
final class SuffixFunction: DifferentiableFunction {
    let name = "Suffix"
    private let program: SuffixProgram
    private let plan: SuffixPlan
    private var arena: Storage?
    private(set) var session: SuffixSession?

    init(_ program: SuffixProgram, _ plan: SuffixPlan) { (self.program, self.plan) = (program, plan) }

    deinit { returnArena() }

    private func returnArena() {
        if let arena { Scratch.give(arena) }
        arena = nil
    }

    func forward(_ inputs: [NDArray?]) throws -> [NDArray] {
        let arena = Scratch.take(plan.memory.byteCount)
        self.arena = arena
        let session = SuffixSession(program, plan, arena: arena)
        self.session = session
        return session.forward(inputs.compactMap { $0 })
    }

    /// Every input: that none was changed in place meanwhile is checked through them.
    func saved(for needs: IndexSet64) -> SavedValues { SavedValues(inputs: .all) }

    func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
        let inputs = try (0..<context.inputCount).map { try context.input($0) }
        guard !GradMode.isEnabled, let session, session.isIntact else {
            return try composedGradient(gradOutputs, inputs, context)
        }
        let gradients = session.backward(gradOutputs.map { $0?.array })
        self.session = nil
        returnArena()
        return [Tensor?](repeating: nil, count: program.inputs.count) + gradients.map { $0.map { Tensor($0) } }
    }

    private func composedGradient(
        _ gradOutputs: [Tensor?], _ inputs: [Tensor], _ context: VJPContext
    ) throws -> [Tensor?] {
        let wanted = inputs.indices.filter { context.needs($0) && inputs[$0].requiresGrad }
        // Stand-ins, whose gradients are on their way to the leaves still: hooks run when they arrive there.
        let (operands, outputs) = try enableGrad {
            let operands = inputs.map { $0.clone() }
            return (operands, try program.compose(operands))
        }
        let reached = zip(outputs, gradOutputs).filter { $0.requiresGrad && $1 != nil }
        let gradients = try grad(
            of: reached.map(\.0), wrt: wanted.map { operands[$0] }, gradOutputs: reached.map(\.1),
            createGraph: GradMode.isEnabled, allowUnused: true)
        var result = [Tensor?](repeating: nil, count: inputs.count)
        for (index, gradient) in zip(wanted, gradients) { result[index] = gradient }
        return result
    }
}

extension SuffixProgram {
    /// The outputs in tensor operations.
    func compose(_ inputs: [Tensor]) throws -> [Tensor] {
        let parameters = inputs.dropFirst(self.inputs.count).map { $0 }
        var known: [Int: Tensor] = [:]
        func value(_ index: Int) throws -> Tensor {
            guard let tensor = known[index] else { throw GraphError("the trainable part", "value \(index) is missing") }
            return tensor
        }
        for step in steps {
            switch step {
            case .block(let input, let output): known[output] = inputs[input]
            case .convolution(let convolution, let input, let planar, let weight, let output):
                known[output] = try Operators.convolution(
                    input.map(value) ?? inputs[planar], parameters[weight], geometry: convolution.geometry)
            case .sum(let operands, let isRectified, let output):
                let terms = try operands.map { try normalised(value($0.value), $0.norm, parameters) }
                let sum: Tensor = terms.count > 1 ? try apply(Op.Add(), terms[0], terms[1]) : terms[0]
                known[output] = isRectified ? sum.relu() : sum
            case .maxPool(_, let op, let input, let output): known[output] = try apply(op, value(input))
            case .average(let input, let output):
                known[output] = try Op.GlobalAveragePool()([value(input)])[0]
            }
        }
        return try outputs.map { try value($0.value) }
    }

    private func normalised(_ x: Tensor, _ norm: Norm?, _ parameters: [Tensor]) throws -> Tensor {
        switch norm {
        case nil: return x
        case .bias(let bias):
            let shape = [1, parameters[bias].count, 1, 1]
            return try apply(Op.Add(), x, parameters[bias].reshape(shape))
        case .batch(let index, let scale, let shift):
            let (module, follows) = (norms[index].module, norms[index].followsBatch)
            return try batchNorm(
                x, scale: scale.map { parameters[$0] }, bias: shift.map { parameters[$0] },
                mean: module.runningMean.array, variance: module.runningVar.array, training: follows,
                epsilon: module.epsilon
            ).output
        }
    }
}
