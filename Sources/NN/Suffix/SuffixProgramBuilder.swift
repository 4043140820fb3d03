import GraphIR
import Operators
import TensorCore

/// Turns the leading nodes of a trainable suffix into a `SuffixProgram`.
struct SuffixProgramBuilder {
    /// A value of the graph: an array, or a sum that the next node may still join.
    private enum Known {
        case value(Int)
        case pending([SuffixProgram.Operand], isRectified: Bool)
    }

    private let module: GraphModule
    private let inputShapes: [ValueID: [Int]]
    private var readers: [ValueID: Int] = [:]
    private var known: [ValueID: Known] = [:]
    private var parameterPositions: [ObjectIdentifier: Int] = [:]
    private(set) var program: SuffixProgram
    /// The nodes that come after.
    private(set) var remaining: [Int]

    /// - Parameters:
    ///   - nodes: the suffix in execution order.
    ///   - given: shapes of the boundary's values, `[N, C, H, W]`.
    /// - Returns: nil when the first nodes hold no convolution that the kernels take.
    init?(_ module: GraphModule, nodes: [Int], given: [ValueID: [Int]], batch: Int) throws {
        self.module = module
        inputShapes = given
        program = SuffixProgram(batch: batch)
        remaining = nodes
        for index in nodes {
            for case let id? in module.graph.nodes[index].inputs { readers[id, default: 0] += 1 }
        }
        for id in module.graph.outputs + [module.logits] { readers[id, default: 0] += 1 }
        // What depends on parameters alone, such as an unused copy of one, waits for the tape.
        var waiting: [Int] = []
        while let index = remaining.first {
            if isApartFromImages(index) { waiting.append(index) } else if try !append(index) { break }
            remaining.removeFirst()
        }
        remaining = waiting + remaining
        let wanted = remaining.flatMap { module.graph.nodes[$0].inputs.compactMap { $0 } } + [module.logits]
        var seen: Set<ValueID> = []
        for id in wanted where known[id] != nil && !program.inputs.contains(id) && seen.insert(id).inserted {
            guard let value = materialise(id) else { return nil }
            program.outputs.append((id, value))
        }
        let convolutions = program.steps.count { if case .convolution = $0 { true } else { false } }
        if convolutions == 0 || program.outputs.isEmpty { return nil }
    }

    private func isApartFromImages(_ index: Int) -> Bool {
        !module.graph.nodes[index].inputs.contains { id in
            id.map { known[$0] != nil || inputShapes[$0] != nil } ?? false
        }
    }

    /// Adds a node; false when the program must end before it.
    private mutating func append(_ index: Int) throws -> Bool {
        let node = module.graph.nodes[index]
        guard let output = node.outputs.first ?? nil, node.outputs.compactMap({ $0 }).count == 1,
            let input = node.inputs.first ?? nil
        else { return false }
        switch node.op {
        case is Op.Conv:
            guard let layer = module.layerModule(ofNode: index) as? Conv2d else { return false }
            return try append(layer, input, output)
        case is Op.BatchNormalization:
            guard let norm = module.layerModule(ofNode: index) as? BatchNorm2d else { return false }
            return append(norm, input, output)
        case is Op.Relu:
            if let (operands, _) = pending(input) {
                known[output] = .pending(operands, isRectified: true)
                return true
            }
            guard let value = materialise(input), !program.isPlanar(value) else { return false }
            known[output] = .pending([.init(value: value)], isRectified: true)
            return true
        case is Op.Add: return appendSum(node.inputs, output)
        case let pool as Op.MaxPool: return try append(pool, input, output)
        case is Op.GlobalAveragePool:
            guard readers[input] == 1, let value = materialise(input), !program.isPlanar(value) else { return false }
            let made = makeValue(program.values[value].channels, 1, 1, needsGradient(value))
            add(.average(input: value, output: made))
            known[output] = .value(made)
            return true
        default: return false
        }
    }

    // MARK: - Values

    private mutating func makeValue(_ channels: Int, _ height: Int, _ width: Int, _ needsGradient: Bool) -> Int {
        program.values.append(
            .init(
                channels: channels, height: height, width: width, step: program.steps.count,
                needsGradient: needsGradient))
        return program.values.count - 1
    }

    private mutating func add(_ step: SuffixProgram.Step) { program.steps.append(step) }

    private func needsGradient(_ value: Int) -> Bool { program.values[value].needsGradient }

    private mutating func position(_ parameter: Parameter?) -> Int? {
        guard let parameter else { return nil }
        if let known = parameterPositions[ObjectIdentifier(parameter)] { return known }
        program.parameters.append(parameter)
        parameterPositions[ObjectIdentifier(parameter)] = program.parameters.count - 1
        return program.parameters.count - 1
    }

    /// Position of a boundary value among the program's inputs.
    private mutating func inputPosition(_ id: ValueID) -> Int? {
        if let known = program.inputs.firstIndex(of: id) { return known }
        guard let shape = inputShapes[id], shape.count == 4, shape[0] == program.batch else { return nil }
        program.inputs.append(id)
        return program.inputs.count - 1
    }

    /// A sum that only the node at hand reads, and whether it is rectified already.
    private func pending(_ id: ValueID) -> ([SuffixProgram.Operand], Bool)? {
        guard case .pending(let operands, let isRectified)? = known[id], readers[id] == 1 else { return nil }
        return (operands, isRectified)
    }

    /// The blocked array of a value; nil for what the program cannot make.
    private mutating func materialise(_ id: ValueID) -> Int? {
        switch known[id] {
        case .value(let value): return value
        case .pending(let operands, let isRectified):
            if operands.count == 1, operands[0].norm == nil, !isRectified { return operands[0].value }
            let first = program.values[operands[0].value]
            let trains = operands.contains { operand in
                needsGradient(operand.value)
                    || operand.norm?.parameters.contains { program.needsGradient(parameter: $0) } == true
            }
            let made = makeValue(first.channels, first.height, first.width, trains)
            add(.sum(operands, isRectified: isRectified, output: made))
            known[id] = .value(made)
            return made
        case nil:
            guard let input = inputPosition(id), let shape = inputShapes[id] else { return nil }
            let made = makeValue(shape[1], shape[2], shape[3], false)
            add(.block(input: input, output: made))
            known[id] = .value(made)
            return made
        }
    }

    // MARK: - Nodes

    private mutating func append(_ layer: Conv2d, _ input: ValueID, _ output: ValueID) throws -> Bool {
        guard layer.weight.dtype == .float32 else { return false }
        var shape = inputShapes[input] ?? []
        if known[input] != nil {
            guard let value = materialise(input), !program.isPlanar(value) else { return false }
            shape = program.shape(value)
        }
        guard
            let convolution = try BlockedConvolution(
                geometry: layer.geometry, inputShape: shape, weightShape: layer.weight.shape),
            let weight = position(layer.weight)
        else { return false }
        let readsPlanar = convolution.prefersPlanarInput && inputShapes[input] != nil
        let planar = readsPlanar ? inputPosition(input) : nil
        let value = readsPlanar ? nil : materialise(input)
        guard planar != nil || value != nil else { return false }
        let trains = program.needsGradient(parameter: weight) || (value.map(needsGradient) ?? false)
        let sizes = convolution.outputShape
        let made = makeValue(sizes[1], sizes[2], sizes[3], trains)
        add(.convolution(convolution, input: value, planar: planar ?? 0, weight: weight, output: made))
        let bias = position(layer.bias)
        known[output] = .pending([.init(value: made, norm: bias.map { .bias(parameter: $0) })], isRectified: false)
        return true
    }

    /// A batch norm right after a convolution without a bias, or of a boundary value that nothing else reads.
    private mutating func append(_ norm: BatchNorm2d, _ input: ValueID, _ output: ValueID) -> Bool {
        if known[input] == nil && readers[input] == 1, let value = materialise(input) {
            known[input] = .pending([.init(value: value)], isRectified: false)
        }
        guard let (operands, isRectified) = pending(input), operands.count == 1, operands[0].norm == nil, !isRectified,
            norm.runningMean.dtype == .float32
        else { return false }
        switch program.steps[program.values[operands[0].value].step] {
        case .convolution, .block: break
        case .sum, .maxPool, .average: return false
        }
        if norm.followsBatch && program.batch * program.values[operands[0].value].positions < 2 { return false }
        program.norms.append(.init(module: norm, followsBatch: norm.followsBatch))
        let kind = SuffixProgram.Norm.batch(
            program.norms.count - 1, scale: position(norm.weight), shift: position(norm.bias))
        known[output] = .pending([.init(value: operands[0].value, norm: kind)], isRectified: false)
        return true
    }

    private mutating func appendSum(_ inputs: [ValueID?], _ output: ValueID) -> Bool {
        guard inputs.count == 2, let a = inputs[0], let b = inputs[1], a != b else { return false }
        var operands: [SuffixProgram.Operand] = []
        for id in [a, b] {
            if let (own, isRectified) = pending(id), own.count == 1, !isRectified {
                operands.append(own[0])
            } else if let value = materialise(id), !program.isPlanar(value) {
                operands.append(.init(value: value))
            } else {
                return false
            }
        }
        // What is normalised comes first.
        if operands[0].norm == nil { operands.swapAt(0, 1) }
        let shapes = operands.map { program.shape($0.value) }
        guard shapes[0] == shapes[1] else { return false }
        known[output] = .pending(operands, isRectified: false)
        return true
    }

    private mutating func append(_ pool: Op.MaxPool, _ input: ValueID, _ output: ValueID) throws -> Bool {
        guard readers[input] == 1, let value = materialise(input), !program.isPlanar(value) else { return false }
        let shape = program.shape(value), geometry = try pool.geometry(for: program.shape(value))
        guard geometry.kernelShape.count == 2 else { return false }
        let blocked = try BlockedMaxPool(geometry, inputShape: shape)
        guard blocked.hasSmallWindow else { return false }
        let sizes = try geometry.outputShape(shape)
        let made = makeValue(sizes[1], sizes[2], sizes[3], needsGradient(value))
        add(.maxPool(blocked, pool, input: value, output: made))
        known[output] = .value(made)
        return true
    }
}
