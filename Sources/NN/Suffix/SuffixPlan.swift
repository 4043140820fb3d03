import GraphIR
import TensorCore

/// The order of a program's work, forward or forward and backward, and where its arrays lie meanwhile.
struct SuffixPlan {
    /// An array in the plan's memory.
    enum Item: Hashable, Sendable {
        /// A value as the forward pass made it.
        case value(Int)
        /// A value that was not kept, made again.
        case again(Int)
        /// Places of a pooling's maxima, one byte each.
        case places(Int)
        case gradient(Int)
    }

    /// How a step passes its gradient on to one of the values it reads.
    enum Delivery {
        case none
        /// Writes it: no other reader has.
        case first
        /// Adds to what other readers delivered.
        case added
        /// The value's gradient is the step's own, in the same memory.
        case same
        /// Normalised: the value becomes its gradient.
        case inPlace
    }

    enum Work {
        case forward(Int)
        case again(Int)
        case results
        /// Takes the gradients of the outputs in.
        case seeds
        case backward(Int, [Delivery])
    }

    private(set) var work: [Work] = []
    private(set) var memory = PlanMemory<Item>()
    /// Where values are during the backward pass.
    private(set) var valueItems: [Int: Item] = [:]
    /// Where gradients of values are.
    private(set) var gradientItems: [Int: Item] = [:]
    /// Number of leading pieces of work that make up the forward pass.
    private(set) var forwardCount = 0

    private var lifetimes: [Item: ClosedRange<Int>] = [:]
    private let program: SuffixProgram

    init(_ program: SuffixProgram, isRecording: Bool) {
        self.program = program
        for (index, step) in program.steps.enumerated() {
            work.append(.forward(index))
            for value in step.reads { touch(.value(value)) }
            if !program.isPlanar(step.output) { touch(.value(step.output)) }
            if isRecording, case .maxPool = step { touch(.places(step.output)) }
        }
        work.append(.results)
        for output in program.outputs where !program.isPlanar(output.value) { touch(.value(output.value)) }
        forwardCount = work.count
        if isRecording { planBackward() }
        allocate()
    }

    /// Marks an item as used by the last piece of work.
    private mutating func touch(_ item: Item) {
        let now = work.count - 1
        lifetimes[item] = (lifetimes[item]?.lowerBound ?? now)...now
    }

    private mutating func allocate() {
        var born: [Int: [Item]] = [:]
        var dead: [Int: [Item]] = [:]
        for (item, life) in lifetimes {
            born[life.lowerBound, default: []].append(item)
            dead[life.upperBound, default: []].append(item)
        }
        // Larger ones first, then in a fixed order: the same program gets the same plan.
        func order(_ a: Item, _ b: Item) -> Bool {
            (byteCount(a), "\(a)") > (byteCount(b), "\(b)")
        }
        for now in work.indices {
            for item in (born[now] ?? []).sorted(by: order) { memory.allocate(item, byteCount: byteCount(item)) }
            for item in (dead[now] ?? []).sorted(by: order) { memory.release(item) }
        }
    }

    private func byteCount(_ item: Item) -> Int {
        switch item {
        case .value(let value), .again(let value), .gradient(let value): program.elements(value) * 4
        case .places(let value): program.elements(value)
        }
    }

    // MARK: - Backward

    /// Whether a value is made again instead of being kept: a convolution of the few channels of a picture, which costs
    /// little beside its large result, and sums of what is there anyway.
    private func isMadeAgain(_ value: Int) -> Bool {
        switch program.steps[program.values[value].step] {
        case .convolution(_, let input, _, _, _): input == nil
        case .sum(let operands, _, _): operands.allSatisfy { $0.norm != nil || !isMadeAgain($0.value) }
        case .block, .maxPool, .average: false
        }
    }

    /// Makes sure that a value is there for the next piece of work.
    private mutating func require(_ value: Int) {
        guard valueItems[value] == nil else { return }
        guard isMadeAgain(value) else {
            valueItems[value] = .value(value)
            return
        }
        let step = program.values[value].step
        for read in program.steps[step].reads { require(read) }
        work.append(.again(step))
        valueItems[value] = .again(value)
        for read in program.steps[step].reads + [value] { if let item = valueItems[read] { touch(item) } }
    }

    private mutating func planBackward() {
        work.append(.seeds)
        for output in program.outputs where program.values[output.value].needsGradient {
            if program.isPlanar(output.value) { continue }
            gradientItems[output.value] = .gradient(output.value)
            touch(.gradient(output.value))
        }
        for index in program.steps.indices.reversed() {
            let step = program.steps[index], output = step.output
            guard program.values[output].needsGradient, gradientItems[output] != nil || program.isPlanar(output) else {
                continue
            }
            for value in readInBackward(step) { require(value) }
            let deliveries = deliver(step)
            work.append(.backward(index, deliveries))
            if let item = gradientItems[output] { touch(item) }
            if case .maxPool = step { touch(.places(output)) }
            for value in readInBackward(step) { if let item = valueItems[value] { touch(item) } }
            for (value, delivery) in zip(step.reads, deliveries) where delivery != .none {
                if let item = gradientItems[value] { touch(item) }
            }
        }
    }

    private func readInBackward(_ step: SuffixProgram.Step) -> [Int] {
        switch step {
        case .convolution(_, let input, _, let weight, _):
            program.needsGradient(parameter: weight) ? input.map { [$0] } ?? [] : []
        case .sum(let operands, let isRectified, _):
            operands.filter { isRectified || $0.norm != nil }.map(\.value)
        case .block, .maxPool, .average: []
        }
    }

    /// Decides where the gradients of what a step reads go.
    private mutating func deliver(_ step: SuffixProgram.Step) -> [Delivery] {
        var isPassedOn = false
        let operands: [SuffixProgram.Operand] =
            if case .sum(let operands, _, _) = step { operands } else { step.reads.map { .init(value: $0) } }
        return operands.map { operand in
            let value = operand.value
            guard program.values[value].needsGradient else { return .none }
            if operand.norm != nil {
                gradientItems[value] = valueItems[value]
                return .inPlace
            }
            if gradientItems[value] != nil { return .added }
            if case .sum = step, !isPassedOn {
                isPassedOn = true
                gradientItems[value] = gradientItems[step.output]
                return .same
            }
            gradientItems[value] = .gradient(value)
            return .first
        }
    }
}
