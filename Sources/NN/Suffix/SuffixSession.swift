import GraphIR
import Operators
import TensorCore

/// One forward pass of a `SuffixProgram`, and the backward pass that may follow it once.
final class SuffixSession {
    let program: SuffixProgram
    private let plan: SuffixPlan
    private let arena: Storage
    /// Arrays of the program's inputs, then of its parameters.
    private var arrays: [NDArray] = []
    /// By the normalised value: what it is multiplied with and added to, and 1 / √(variance + epsilon).
    private var channels: [Int: BlockedSum.Channels] = [:]
    private var inverseDeviations: [Int: [Float]] = [:]
    /// What the batch norms that follow the batch found.
    private(set) var statistics: [(norm: Int, found: BatchStatistics)] = []
    private var results: [Int: NDArray] = [:]
    /// False once backward has begun, which overwrites what the forward pass kept.
    private(set) var isIntact = false

    init(_ program: SuffixProgram, _ plan: SuffixPlan, arena: Storage) {
        (self.program, self.plan, self.arena) = (program, plan, arena)
    }

    // MARK: - Memory

    private func address(_ item: SuffixPlan.Item) -> UnsafeMutableRawPointer {
        guard let offset = plan.memory.offsets[item] else { preconditionFailure("\(item) has no place in the plan") }
        return arena.pointer + offset
    }

    private func floats(_ item: SuffixPlan.Item) -> UnsafeMutablePointer<Float> {
        address(item).assumingMemoryBound(to: Float.self)
    }

    /// A value during the backward pass.
    private func kept(_ value: Int) -> UnsafeMutablePointer<Float> { floats(plan.valueItems[value] ?? .value(value)) }

    private func gradient(_ value: Int) -> UnsafeMutablePointer<Float> {
        floats(plan.gradientItems[value] ?? .gradient(value))
    }

    private func places(_ value: Int) -> UnsafeMutablePointer<UInt8> {
        address(.places(value)).assumingMemoryBound(to: UInt8.self)
    }

    private func parameter(_ position: Int) -> NDArray { arrays[program.inputs.count + position] }

    /// A parameter's numbers, filled up to whole blocks; `absent` where there is none.
    private func numbers(_ position: Int?, count: Int, absent: Float) -> [Float] {
        var result = position.map { parameter($0).elements(as: Float.self) } ?? [Float](repeating: absent, count: count)
        result += [Float](repeating: 0, count: ImageLayout.wholeBlocks(count) - count)
        return result
    }

    // MARK: - Forward

    /// The outputs, from the inputs' and the parameters' arrays.
    func forward(_ arrays: [NDArray]) -> [NDArray] {
        self.arrays = arrays
        for work in plan.work.prefix(plan.forwardCount) {
            switch work {
            case .forward(let step): compute(program.steps[step], isAgain: false)
            case .results: unblockResults()
            case .again, .seeds, .backward: break
            }
        }
        isIntact = isRecording
        return program.outputs.compactMap { results[$0.value] }
    }

    private func unblockResults() {
        for (_, value) in program.outputs where !program.isPlanar(value) {
            let shape = program.values[value]
            var result = NDArray(uninitialized: program.shape(value), dtype: .float32)
            result.withMutableElements(as: Float.self) { y in
                guard let y = y.baseAddress else { return }
                unblockChannels(
                    floats(.value(value)), images: program.batch, channels: shape.channels, positions: shape.positions,
                    into: y)
            }
            results[value] = result
        }
    }

    /// Runs a step forward; `isAgain` in the backward pass, for a value that was not kept.
    private func compute(_ step: SuffixProgram.Step, isAgain: Bool) {
        func source(_ value: Int) -> UnsafeMutablePointer<Float> { isAgain ? kept(value) : floats(.value(value)) }
        let output = step.output, shape = program.values[output]
        switch step {
        case .block(let input, _):
            arrays[input].withElements(as: Float.self) { x in
                guard let x = x.baseAddress else { return }
                blockChannels(
                    x, images: program.batch, channels: shape.channels, positions: shape.positions, into: source(output)
                )
            }
        case .convolution(let convolution, let input, let planar, let weight, _):
            withInput(input.map { source($0) }, planar) { x, layout in
                convolution.forward(x, layout, weight: parameter(weight), into: source(output))
            }
        case .sum(let operands, let isRectified, _):
            if !isAgain { for operand in operands { normalise(operand, source(operand.value)) } }
            sum(operands, isRectified, source).evaluate(into: source(output))
        case .maxPool(let pool, _, let input, _):
            if isRecording {
                pool.run(input: source(input), output: source(output), places: places(output))
            } else {
                pool.run(images: program.batch, input: source(input), output: source(output))
            }
        case .average(let input, _):
            var result = NDArray(uninitialized: program.shape(output), dtype: .float32)
            result.withMutableElements(as: Float.self) { y in
                guard let y = y.baseAddress else { return }
                globalAverageBlocked(
                    source(input), images: program.batch, channels: shape.channels,
                    positions: program.values[input].positions, into: y)
            }
            results[output] = result
        }
    }

    /// Whether a backward pass is planned.
    private var isRecording: Bool { plan.forwardCount < plan.work.count }

    private func withInput(
        _ value: UnsafeMutablePointer<Float>?, _ planar: Int, _ body: (UnsafePointer<Float>, ImageLayout) -> Void
    ) {
        if let value { return body(value, .blocked) }
        arrays[planar].withElements(as: Float.self) { x in
            if let x = x.baseAddress { body(x, .planar) }
        }
    }

    private func sum(
        _ operands: [SuffixProgram.Operand], _ isRectified: Bool, _ source: (Int) -> UnsafeMutablePointer<Float>
    ) -> BlockedSum {
        let shape = program.values[operands[0].value]
        return BlockedSum(
            operands.map { .init(x: source($0.value), channels: $0.norm == nil ? nil : channels[$0.value]) },
            isRectified: isRectified, images: program.batch, channels: shape.channels, positions: shape.positions)
    }

    /// Finds what an operand is multiplied with and added to: factor = scale / √(variance + epsilon),
    /// offset = shift - mean · factor.
    private func normalise(_ operand: SuffixProgram.Operand, _ x: UnsafePointer<Float>) {
        let shape = program.values[operand.value], count = shape.channels
        switch operand.norm {
        case nil: break
        case .bias(let bias):
            let offset = numbers(bias, count: count, absent: 0)
            let ones = [Float](repeating: 1, count: offset.count), zeros = [Float](repeating: 0, count: offset.count)
            channels[operand.value] = .init(factor: ones, offset: offset, mean: zeros)
        case .batch(let index, let scale, let shift):
            let norm = program.norms[index]
            var (mean, variance) = ([Float](), [Float]())
            if norm.followsBatch {
                (mean, variance) = blockedMoments(
                    x, images: program.batch, channels: count, positions: shape.positions)
                let found = BatchStatistics(
                    mean: NDArray(Array(mean.prefix(count))), variance: NDArray(Array(variance.prefix(count))),
                    count: program.batch * shape.positions)
                statistics.append((index, found))
            } else {
                let padding = [Float](repeating: 0, count: ImageLayout.wholeBlocks(count) - count)
                mean = norm.module.runningMean.array.elements(as: Float.self) + padding
                variance = norm.module.runningVar.array.elements(as: Float.self) + padding
            }
            let scales = numbers(scale, count: count, absent: 1), shifts = numbers(shift, count: count, absent: 0)
            let inverse = variance.map { Float(1 / (Double($0) + norm.module.epsilon).squareRoot()) }
            let factor = zip(scales, inverse).map { $0 * $1 }
            let offset = shifts.indices.map { shifts[$0] - mean[$0] * factor[$0] }
            channels[operand.value] = .init(factor: factor, offset: offset, mean: mean)
            inverseDeviations[operand.value] = inverse
        }
    }

    // MARK: - Backward

    /// Gradients of the parameters from those of the outputs; nil where none was asked for. Runs once.
    func backward(_ gradients: [NDArray?]) -> [NDArray?] {
        precondition(isIntact, "the forward pass must have been planned for a backward pass that has not run")
        isIntact = false
        var found = [NDArray?](repeating: nil, count: program.parameters.count)
        for work in plan.work.dropFirst(plan.forwardCount) {
            switch work {
            case .seeds: blockSeeds(gradients)
            case .again(let step): compute(program.steps[step], isAgain: true)
            case .backward(let step, let deliveries):
                differentiate(program.steps[step], deliveries, gradients, &found)
            case .forward, .results: break
            }
        }
        return found
    }

    private func blockSeeds(_ gradients: [NDArray?]) {
        for ((_, value), g) in zip(program.outputs, gradients) {
            guard !program.isPlanar(value), program.values[value].needsGradient else { continue }
            let target = gradient(value), shape = program.values[value]
            guard let g else {
                target.update(repeating: 0, count: program.elements(value))
                continue
            }
            g.withElements(as: Float.self) { g in
                guard let g = g.baseAddress else { return }
                blockChannels(
                    g, images: program.batch, channels: shape.channels, positions: shape.positions, into: target)
            }
        }
    }

    private func differentiate(
        _ step: SuffixProgram.Step, _ deliveries: [SuffixPlan.Delivery], _ seeds: [NDArray?], _ found: inout [NDArray?]
    ) {
        let output = step.output
        switch step {
        case .block: break
        case .convolution(let convolution, let input, let planar, let weight, _):
            let g = gradient(output)
            if program.needsGradient(parameter: weight) {
                withInput(input.map { kept($0) }, planar) { x, layout in
                    add(convolution.weightGradient(x, layout, g), to: &found[weight])
                }
            }
            if let input, let delivery = deliveries.first, delivery != .none {
                convolution.inputGradient(
                    g, weight: parameter(weight), adding: delivery == .added, into: gradient(input))
            }
        case .sum(let operands, let isRectified, _):
            differentiate(operands, isRectified, output, deliveries, &found)
        case .maxPool(let pool, _, let input, _):
            pool.gradient(gradient(output), places: places(output), into: gradient(input))
        case .average(let input, _):
            guard let position = program.outputs.firstIndex(where: { $0.value == output }) else { return }
            let shape = program.values[input]
            let g = seeds[position] ?? NDArray.zeros(program.shape(output))
            g.withElements(as: Float.self) { g in
                guard let g = g.baseAddress else { return }
                globalAverageGradientBlocked(
                    g, images: program.batch, channels: shape.channels, positions: shape.positions,
                    into: gradient(input))
            }
        }
    }

    private func differentiate(
        _ operands: [SuffixProgram.Operand], _ isRectified: Bool, _ output: Int, _ deliveries: [SuffixPlan.Delivery],
        _ found: inout [NDArray?]
    ) {
        let g = gradient(output), whole = sum(operands, isRectified, kept)
        // More than one operand reads the gradient after ReLU: it is kept that way.
        let isShared = operands.count > 1 || operands[0].norm == nil
        var isMasked = !isRectified
        for (index, operand) in operands.enumerated() {
            guard let norm = operand.norm else { continue }
            var own = whole
            if isMasked { (own.operands, own.isRectified) = ([whole.operands[index]], false) }
            let trains = norm.parameters.contains { program.needsGradient(parameter: $0) }
            if trains || followsBatch(norm) {
                let totals = own.gradientTotals(g, masking: isShared && !isMasked)
                collect(totals, operand, norm, &found)
                if isShared { isMasked = true }
                if deliveries[index] == .inPlace { pass(g, own, isMasked, operand, norm, totals, index) }
            } else {
                if isShared && !isMasked {
                    whole.maskGradient(g)
                    isMasked = true
                }
                if deliveries[index] == .inPlace { pass(g, own, isMasked, operand, norm, nil, index) }
            }
        }
        if !isMasked && isShared { whole.maskGradient(g) }
        for (operand, delivery) in zip(operands, deliveries) where operand.norm == nil {
            let count = program.elements(operand.value)
            switch delivery {
            case .added:
                addBlocked(gradient(operand.value), g, count: count, activation: .none, into: gradient(operand.value))
            case .first: gradient(operand.value).update(from: g, count: count)
            case .same, .none, .inPlace: break
            }
        }
    }

    private func followsBatch(_ norm: SuffixProgram.Norm) -> Bool {
        if case .batch(let index, _, _) = norm { return program.norms[index].followsBatch }
        return false
    }

    /// Gradients of scale and shift, or of the bias.
    private func collect(
        _ totals: BlockedSum.Totals, _ operand: SuffixProgram.Operand, _ norm: SuffixProgram.Norm,
        _ found: inout [NDArray?]
    ) {
        let count = program.values[operand.value].channels
        func array(_ numbers: some Sequence<Float>) -> NDArray { NDArray(Array(numbers.prefix(count))) }
        switch norm {
        case .bias(let bias):
            if program.needsGradient(parameter: bias) { add(array(totals.gradient), to: &found[bias]) }
        case .batch(_, let scale, let shift):
            if let scale, program.needsGradient(parameter: scale) {
                let inverse = inverseDeviations[operand.value] ?? []
                add(array(zip(totals.product, inverse).map { $0 * $1 }), to: &found[scale])
            }
            if let shift, program.needsGradient(parameter: shift) { add(array(totals.gradient), to: &found[shift]) }
        }
    }

    /// Turns a normalised value into its gradient. With x̂ = (x - mean) / √(variance + epsilon) and means over a channel,
    /// that is factor · (g - mean(g) - x̂ mean(g x̂)) where the norm follows the batch, else factor · g.
    private func pass(
        _ g: UnsafePointer<Float>, _ own: BlockedSum, _ isMasked: Bool, _ operand: SuffixProgram.Operand,
        _ norm: SuffixProgram.Norm, _ totals: BlockedSum.Totals?, _ index: Int
    ) {
        var own = own
        if isMasked { (own.operands, own.isRectified) = ([own.operands[own.operands.count > 1 ? index : 0]], false) }
        let zeros = [Float](repeating: 0, count: channels[operand.value]?.factor.count ?? 0)
        var (shift, slope) = (zeros, zeros)
        if let totals, followsBatch(norm), let inverse = inverseDeviations[operand.value] {
            let share = 1 / Float(program.batch * program.values[operand.value].positions)
            shift = totals.gradient.map { $0 * share }
            slope = zip(totals.product, inverse).map { $0 * $1 * $1 * share }
        }
        own.gradient(g, shift: shift, slope: slope, into: kept(operand.value))
    }

    private func add(_ gradient: NDArray, to total: inout NDArray?) {
        total = total.flatMap { try? NDArray.binary(.add, $0, gradient) } ?? gradient
    }
}
