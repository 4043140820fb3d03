import Operators
import TensorCore

/// Turns the leading nodes of a plan that treat every image by itself into an `ImageProgram`.
struct ImageProgramBuilder {
    let graph: Graph
    let constants: [ValueID: NDArray]
    let batch: Int
    private(set) var imageShapes: [ValueID: [Int]] = [:]
    private(set) var inputs: [ValueID] = []
    private(set) var outputs: [ValueID] = []
    private(set) var segments: [ImageProgram.Segment] = []
    /// Images that go through all segments before the next ones begin: as many as the step that takes the most at a time.
    private(set) var chunk = 1
    /// The nodes that come after.
    private(set) var remaining: [PlanNode] = []

    private let relations: BatchRelations?
    private let infos: [ValueID: ValueInfo]
    private var steps: [ImageProgram.Step] = []
    private var available: Set<PlanValue> = []

    /// - Parameters:
    ///   - nodes: fused nodes in execution order.
    ///   - infos: shapes of all values for the batch that the program is made for.
    ///   - results: values that the caller wants.
    init(
        _ graph: Graph, _ nodes: [PlanNode], constants: [ValueID: NDArray], infos: [ValueID: ValueInfo],
        given: [ValueID], results: [ValueID], batch: Int, relations: BatchRelations?
    ) throws {
        self.relations = relations
        self.graph = graph
        self.constants = constants
        self.infos = infos
        self.batch = batch
        for id in given where isImage(id) {
            available.insert(PlanValue(id: id, layout: .planar))
            imageShapes[id] = Array((infos[id]?.shape ?? []).dropFirst())
        }
        let given = available.map(\.id)
        let count = nodes.prefix { treatsImagesAlone($0) }.count
        remaining = Array(nodes.dropFirst(count))
        let wanted = Set(results + remaining.flatMap { ImageProgramBuilder.reads($0, graph) })
        for node in nodes.prefix(count) {
            for id in ImageProgramBuilder.writes(node, graph) {
                imageShapes[id] = Array((infos[id]?.shape ?? []).dropFirst())
            }
            try append(node)
        }
        let made = Set(available.map(\.id)).subtracting(given)
        outputs = wanted.intersection(made).sorted()
        for id in outputs { _ = value(id, .planar) }
        let read = Set(steps.flatMap(\.reads).map(\.id))
        inputs = given.filter(read.contains).sorted()
        segments = cutIntoSegments()
        chunk = ImageProgramBuilder.piece(of: batch, atMost: segments.map(\.sliceSize).max() ?? 1)
        for index in segments.indices {
            segments[index].sliceSize = ImageProgramBuilder.piece(of: chunk, atMost: segments[index].sliceSize)
        }
    }

    // MARK: - What can be taken

    private func isImage(_ id: ValueID) -> Bool {
        guard let info = infos[id] else { return false }
        guard let relations, relations.closedBatch == nil, relations.axis(id)?.isLeading == true else { return false }
        return info.dtype == .float32 && info.shape.count >= 2 && info.shape[0] == batch
    }

    private func treatsImagesAlone(_ node: PlanNode) -> Bool {
        switch node {
        case .convolution(let c): return isImage(c.input) && isImage(c.output)
        case .addition(let a, let b, _, let output): return isImage(a) && isImage(b) && isImage(output)
        case .node(let index):
            let node = graph.nodes[index]
            guard node.op.keepsImagesApart, node.outputs.compactMap({ $0 }).count == 1 else { return false }
            for case let id? in node.inputs where constants[id] == nil && !isImage(id) { return false }
            return node.outputs.allSatisfy { $0.map(isImage) ?? true }
        }
    }

    static func reads(_ node: PlanNode, _ graph: Graph) -> [ValueID] {
        switch node {
        case .convolution(let c): [c.input] + (c.residual.map { [$0] } ?? [])
        case .addition(let a, let b, _, _): [a, b]
        case .node(let index): graph.nodes[index].inputs.compactMap { $0 }
        }
    }

    static func writes(_ node: PlanNode, _ graph: Graph) -> [ValueID] {
        switch node {
        case .convolution(let c): [c.output]
        case .addition(_, _, _, let output): [output]
        case .node(let index): graph.nodes[index].outputs.compactMap { $0 }
        }
    }

    /// The batch size that algorithms are chosen for. It is not the real one, so that an image's values have the same
    /// bits in every batch: features kept from another run, or a run continued, must not differ.
    static let nominalBatch = 8

    // MARK: - Steps

    /// The value in `layout`, converted when it exists in the other one only.
    private mutating func value(_ id: ValueID, _ layout: ImageLayout) -> PlanValue {
        let wanted = PlanValue(id: id, layout: layout)
        if available.insert(wanted).inserted {
            let other = PlanValue(id: id, layout: layout == .planar ? .blocked : .planar)
            steps.append(.convert(from: other, to: wanted))
        }
        return wanted
    }

    private mutating func made(_ id: ValueID, _ layout: ImageLayout) -> PlanValue {
        let value = PlanValue(id: id, layout: layout)
        available.insert(value)
        return value
    }

    private mutating func append(_ node: PlanNode) throws {
        switch node {
        case .convolution(let c): try append(c)
        case .addition(let a, let b, let activation, let output):
            let operands = (value(a, .blocked), value(b, .blocked))
            steps.append(.addition(operands.0, operands.1, activation, output: made(output, .blocked)))
        case .node(let index): try append(graph.nodes[index], index)
        }
    }

    private mutating func append(_ c: FusedConvolution) throws {
        let shape = infos[c.input]?.shape ?? []
        do {
            let geometry = try c.op.geometry(input: shape, weight: c.weight.shape)
            let convolution = try PackedConvolution(
                weight: c.weight, bias: c.bias, geometry: geometry,
                inputShape: [ImageProgramBuilder.nominalBatch] + shape.dropFirst(), activation: c.activation)
            let layout: ImageLayout = convolution.writesBlocked ? .blocked : .planar
            let input = value(c.input, convolution.readsBlocked ? .blocked : .planar)
            let residual = c.residual.map { value($0, layout) }
            steps.append(.convolution(convolution, input: input, residual: residual, output: made(c.output, layout)))
        } catch {
            throw GraphError(graph.nodes[c.node], error)
        }
    }

    private mutating func append(_ node: Graph.Node, _ index: Int) throws {
        if let input = node.inputs.first ?? nil, let output = node.outputs[0], imageShapes[input]?.count == 3,
            available.contains(PlanValue(id: input, layout: .blocked))
        {
            if let pool = node.op as? Op.MaxPool, node.outputs.count == 1 {
                let shape = infos[input]?.shape ?? []
                let step = try BlockedMaxPool(try pool.geometry(for: shape), inputShape: shape)
                // Only the planar kernel passes over padding without looking at it.
                if step.hasSmallWindow {
                    steps.append(.maxPool(step, input: value(input, .blocked), output: made(output, .blocked)))
                    return
                }
            }
            if node.op is Op.GlobalAveragePool {
                steps.append(.globalAverage(input: value(input, .blocked), output: made(output, .planar)))
                return
            }
        }
        let inputs = node.inputs.map { id -> ValueID? in
            if let id, constants[id] == nil { _ = value(id, .planar) }
            return id
        }
        let outputs = node.outputs.map { id -> ValueID? in id.map { made($0, .planar).id } }
        steps.append(.node(index, inputs: inputs, outputs: outputs))
    }

    // MARK: - Slices

    /// What a slice's values should take, so that they stay in the caches.
    private static let sliceBytes = 8 << 20

    /// Images at a time for a step alone: as many as the cache holds, and so many that reading its weights does not
    /// count.
    private func sliceSize(_ step: ImageProgram.Step) -> Int {
        let perImage = (step.reads + step.writes).reduce(0) { sum, value in
            min(sum, Int.max / 2) + min(ImageProgram.elements(value, imageShapes[value.id] ?? []), Int.max / 8) * 4
        }
        var budget = ImageProgramBuilder.sliceBytes
        if case .convolution(let convolution, _, _, _) = step { budget = max(budget, 2 * convolution.packedBytes) }
        return max(1, min(batch, budget / max(perImage, 1)))
    }

    private func cutIntoSegments() -> [ImageProgram.Segment] {
        var segments: [ImageProgram.Segment] = []
        for step in steps {
            let size = sliceSize(step)
            if let last = segments.last?.sliceSize, size < last * 3, size * 2 > last {
                segments[segments.count - 1].steps.append(step)
                segments[segments.count - 1].sliceSize = min(last, size)
            } else {
                segments.append(ImageProgram.Segment(sliceSize: size, steps: [step]))
            }
        }
        return segments
    }

    /// The size of equal pieces that `count` images are cut into.
    private static func piece(of count: Int, atMost most: Int) -> Int {
        let pieces = max((count + most - 1) / most, 1)
        return max((count + pieces - 1) / pieces, 1)
    }
}
