import Operators
import Synchronization
import TensorCore

/// Nodes of a graph prepared to run without autograd.
///
/// Works on arrays alone and so cannot record. Batch norms are folded into convolutions, sums and activations fused to
/// them, weights packed once; what treats every image by itself runs as an `ImageProgram`, the rest node by node, a
/// value being released after its last use. Everything that depends on shapes is prepared at the first run with images of
/// a shape. Values that depend on the number of pictures are made for the batch at hand.
public final class InferencePlan: Sendable {
    private let graph: Graph
    private let nodes: [Int]
    private let constants: [ValueID: NDArray]
    private let results: [ValueID]
    private let relations: BatchRelations?
    private let input: ValueID?
    /// Nodes whose results depend on the number of pictures only.
    private let countedNodes: [Int]
    private let counted = Mutex<[Int: [ValueID: NDArray]]>([:])
    private let prepared = Mutex<[Key: Prepared]>([:])

    /// What a preparation holds for: the shapes of all inputs but their batch size.
    private struct Key: Hashable {
        var shapes: [ValueID: [Int]]
    }

    /// A program and the nodes after it, for batches up to a size.
    private struct Prepared {
        var program: ImageProgram
        var remaining: [Remaining]
        /// Values that no later node reads, by position in `remaining`.
        var released: [[ValueID]]
    }

    private enum Remaining {
        case node(Int)
        case convolution(PackedConvolution, FusedConvolution)
        case addition(ValueID, ValueID, FusedActivation, ValueID)
    }

    /// Prepares `nodes`, in execution order, to compute `results`.
    ///
    /// - `constants`: values of everything constant that the nodes read.
    /// - `counted`: nodes whose results depend on the number of pictures only, in execution order.
    /// - `relations`: what values are to the batch; without them, every node runs on the whole of it. Results must be values
    ///   of pictures where they are asked for `alone`.
    public init(
        _ graph: Graph, nodes: [Int], constants: [ValueID: NDArray], results: [ValueID],
        relations: BatchRelations? = nil, counted: [Int] = []
    ) {
        input = graph.inputs.first
        self.graph = graph
        self.nodes = nodes
        self.constants = constants
        self.results = results
        self.relations = relations
        countedNodes = counted
    }

    /// Runs the plan on a batch of pictures, the graph's first input. Throws `GraphError` naming the node whose operands do not fit.
    ///
    /// - `alone`: gives each picture the values that it has in a batch of its own, to the last bit. Programs do so anyway;
    ///   products of matrices round in another order for another number of rows.
    public func run(_ inputs: [ValueID: NDArray], alone: Bool = false) throws -> [NDArray] {
        let count = input.flatMap { inputs[$0]?.shape.first } ?? 0
        let given = try countedValues(count).merging(inputs) { $1 }
        let prepared = try preparation(for: given, batch: count)
        var known = given
        if !prepared.program.segments.isEmpty {
            known.merge(try prepared.program.run(known, images: count)) { $1 }
        }
        guard alone && count > 1 && !prepared.remaining.isEmpty else { return try finish(prepared, known) }
        let single = try countedValues(1)
        let parts = try (0..<count).map { picture in
            // Programs hand on values of pictures alone, a row for each.
            var own = single
            for (id, array) in known where given[id] == nil || inputs[id] != nil {
                own[id] = array.rows(picture..<picture + 1)
            }
            return try finish(prepared, own)
        }
        return try results.indices.map { index in try join(parts.map { $0[index] }, results[index]) }
    }

    /// One value of several pictures from those of each.
    private func join(_ parts: [NDArray], _ id: ValueID) throws -> NDArray {
        guard let axis = relations?.axis(id), let shape = parts.first?.shape else {
            throw GraphError("value '\(graph.values[id].name)'", "cannot be taken apart by picture")
        }
        let rows = try parts.map { try axis.split($0, pictures: 1) }
        return try axis.join(NDArray.concatenate(rows, axis: 0), shape: shape)
    }

    private func countedValues(_ pictures: Int) throws -> [ValueID: NDArray] {
        guard let relations, !countedNodes.isEmpty else { return [:] }
        if let known = counted.withLock({ $0[pictures] }) { return known }
        let made = try graph.countedValues(
            countedNodes, pictures: pictures, relations: relations, constants: constants)
        counted.withLock {
            if $0.count >= 8 { $0 = [:] }
            $0[pictures] = made
        }
        return made
    }

    /// The nodes after the program.
    private func finish(_ prepared: Prepared, _ given: [ValueID: NDArray]) throws -> [NDArray] {
        var known = given
        for (position, step) in prepared.remaining.enumerated() {
            try perform(step, &known)
            for id in prepared.released[position] { known[id] = nil }
        }
        return try results.map { id in
            guard let value = known[id] ?? constants[id] else {
                throw GraphError("value '\(graph.values[id].name)'", "was not computed")
            }
            return value
        }
    }

    /// What would run for pictures `[N, ...]` of this shape. Throws as `run` does when a convolution does not fit.
    public func describe(_ shape: [Int]) throws -> PlanDescription {
        let count = shape.first ?? 0, pictures = NDArray(uninitialized: shape, dtype: .float32)
        let given = try countedValues(count).merging(input.map { [$0: pictures] } ?? [:]) { $1 }
        let prepared = try preparation(for: given, batch: count)
        let program = prepared.program
        let rest = prepared.remaining.map { step -> PlanDescription.Step in
            let (output, algorithm): (ValueID?, String) =
                switch step {
                case .node(let index): (graph.nodes[index].outputs.first ?? nil, graph.nodes[index].opType)
                case .convolution(let convolution, let fused): (fused.output, convolution.algorithm)
                case .addition(_, _, _, let output): (output, "Add")
                }
            return PlanDescription.Step(
                output: output.map { graph.values[$0].name } ?? "", algorithm: algorithm, inputShape: [],
                outputShape: [], window: nil, fused: [], slice: nil, weightBytes: 0, outputBytes: 0, offset: nil)
        }
        return PlanDescription(
            batch: program.batch, steps: program.description + rest, bufferBytes: program.memoryBytes)
    }

    private func perform(_ step: Remaining, _ known: inout [ValueID: NDArray]) throws {
        func value(_ id: ValueID) throws -> NDArray {
            guard let array = known[id] ?? constants[id] else {
                throw GraphError("value '\(graph.values[id].name)'", "was not computed")
            }
            return array
        }
        switch step {
        case .node(let index):
            let node = graph.nodes[index]
            do {
                let outputs = try node.op.forward(node.inputs.map { $0.flatMap { known[$0] ?? constants[$0] } })
                for (id, array) in zip(node.outputs, outputs) { if let id { known[id] = array } }
            } catch {
                throw GraphError(node, error)
            }
        case .convolution(let convolution, let fused):
            do {
                known[fused.output] = try convolution(value(fused.input), residual: fused.residual.map(value))
            } catch {
                throw GraphError(graph.nodes[fused.node], error)
            }
        case .addition(let a, let b, let activation, let output):
            var sum = try Op.Add().forward([value(a), value(b)])[0]
            switch activation {
            case .none: break
            case .relu: sum = try Op.Relu().forward([sum])[0]
            case .clip(let low, let high): sum = try Op.Clip(min: low, max: high).forward([sum])[0]
            }
            known[output] = sum
        }
    }

    // MARK: - Preparation

    private func preparation(for inputs: [ValueID: NDArray], batch: Int) throws -> Prepared {
        // The counted ones follow from the pictures.
        let given = inputs.filter { relations == nil || $0.key == input }
        let key = Key(shapes: given.mapValues { Array($0.shape.dropFirst()) })
        if let known = prepared.withLock({ $0[key] }), known.program.batch >= batch { return known }
        let made = try prepare(inputs, batch: batch)
        // A larger batch replaces a smaller one; a caller whose pictures are of many sizes does not keep a plan for each.
        prepared.withLock {
            if $0.count >= 8 { $0 = [:] }
            $0[key] = made
        }
        return made
    }

    private func prepare(_ inputs: [ValueID: NDArray], batch: Int) throws -> Prepared {
        let infos = infer(inputs)
        let fused = PlanFusion(graph, nodes: nodes, constants: constants, results: results, infos: infos).fuse()
        let builder = try ImageProgramBuilder(
            graph, fused, constants: constants, infos: infos, given: Array(inputs.keys), results: results, batch: batch,
            relations: relations)
        let remaining = try builder.remaining.map { node -> Remaining in
            switch node {
            case .node(let index): return .node(index)
            case .addition(let a, let b, let activation, let output): return .addition(a, b, activation, output)
            case .convolution(let fused):
                do {
                    let shape = infos[fused.input]?.shape ?? []
                    let geometry = try fused.op.geometry(input: shape, weight: fused.weight.shape)
                    return .convolution(
                        try PackedConvolution(
                            weight: fused.weight, bias: fused.bias, geometry: geometry,
                            inputShape: [ImageProgramBuilder.nominalBatch] + shape.dropFirst(),
                            activation: fused.activation), fused)
                } catch {
                    throw GraphError(graph.nodes[fused.node], error)
                }
            }
        }
        var lastUse: [ValueID: Int] = [:]
        for (position, node) in builder.remaining.enumerated() {
            let touched = ImageProgramBuilder.reads(node, graph) + ImageProgramBuilder.writes(node, graph)
            for id in touched { lastUse[id] = position }
        }
        var released = [[ValueID]](repeating: [], count: remaining.count)
        for (id, position) in lastUse where !results.contains(id) && constants[id] == nil {
            released[position].append(id)
        }
        let program = ImageProgram(builder)
        guard program.memoryBytes <= ArrayLimit.bytes else {
            let size =
                "\(program.memoryBytes >> 20) MB, more than \(ArrayLimit.bytes >> 20) MB, a quarter of the memory"
            throw GraphError("the frozen layers", "values of one picture need \(size)")
        }
        return Prepared(program: program, remaining: remaining, released: released)
    }

    /// Shapes as far as they follow without running; a node whose operands do not fit says so when it runs.
    private func infer(_ inputs: [ValueID: NDArray]) -> [ValueID: ValueInfo] {
        var infos = constants.mapValues { ValueInfo($0) }
        for (id, array) in inputs { infos[id] = id == input ? ValueInfo(array.dtype, array.shape) : ValueInfo(array) }
        for index in nodes {
            let node = graph.nodes[index]
            let known = node.inputs.compactMap { $0 }.allSatisfy { infos[$0] != nil }
            guard known, let results = try? node.op.infer(node.inputs.map { $0.flatMap { infos[$0] } }) else {
                continue
            }
            for case (let id?, let info) in zip(node.outputs, results) where Graph.isReasonable(info.shape) {
                infos[id] = info
            }
        }
        return infos
    }
}
