import Operators
import TensorCore

/// The part of a plan that treats every image by itself, prepared for images of one shape.
///
/// Steps run on a few images at a time, so that what one step writes is still in the cache when the next one reads it.
/// Steps whose images are small and whose weights are large get more images at a time. Between convolutions, channels
/// stay blocked.
final class ImageProgram: Sendable {
    enum Step: Sendable {
        case convolution(PackedConvolution, input: PlanValue, residual: PlanValue?, output: PlanValue)
        case maxPool(BlockedMaxPool, input: PlanValue, output: PlanValue)
        case globalAverage(input: PlanValue, output: PlanValue)
        case addition(PlanValue, PlanValue, FusedActivation, output: PlanValue)
        case convert(from: PlanValue, to: PlanValue)
        /// Any other operator, on arrays.
        case node(Int, inputs: [ValueID?], outputs: [ValueID?])
    }

    /// Steps that run on `sliceSize` images at a time.
    struct Segment: Sendable {
        var sliceSize: Int
        var steps: [Step]
    }

    let graph: Graph
    let constants: [ValueID: NDArray]
    /// Shape of an image of each value: without the batch axis.
    let imageShapes: [ValueID: [Int]]
    let inputs: [ValueID]
    let outputs: [ValueID]
    let segments: [Segment]
    let batch: Int
    private let memory: PlanMemory<PlanValue>
    /// Images that go through all segments before the next ones begin.
    private let chunk: Int
    /// Values that hold all images of a chunk, because another segment reads them.
    private let wholeChunk: Set<PlanValue>

    init(_ builder: ImageProgramBuilder) {
        graph = builder.graph
        constants = builder.constants
        imageShapes = builder.imageShapes
        inputs = builder.inputs
        outputs = builder.outputs
        batch = builder.batch
        chunk = builder.chunk
        segments = builder.segments
        (memory, wholeChunk) = ImageProgram.planMemory(segments, builder)
    }

    static func elements(_ value: PlanValue, _ shape: [Int]) -> Int {
        guard shape.count >= 2 else { return shape.reduce(1, *) }
        return value.layout.elementsPerImage(channels: shape[0], positions: shape.dropFirst().reduce(1, *))
    }

    // MARK: - Memory

    private static func planMemory(
        _ segments: [Segment], _ builder: ImageProgramBuilder
    ) -> (PlanMemory<PlanValue>, Set<PlanValue>) {
        let external = Set((builder.inputs + builder.outputs).map { PlanValue(id: $0, layout: .planar) })
        var firstSegment: [PlanValue: Int] = [:]
        var lastUse: [PlanValue: (segment: Int, step: Int)] = [:]
        var whole: Set<PlanValue> = []
        for (s, segment) in segments.enumerated() {
            for (i, step) in segment.steps.enumerated() {
                for value in step.reads + step.writes where !external.contains(value) {
                    if firstSegment[value, default: s] != s { whole.insert(value) }
                    firstSegment[value] = firstSegment[value] ?? s
                    lastUse[value] = (s, i)
                }
            }
        }
        var memory = PlanMemory<PlanValue>()
        func bytes(_ value: PlanValue, _ segment: Segment) -> Int {
            let images = whole.contains(value) ? builder.chunk : segment.sliceSize
            return images * elements(value, builder.imageShapes[value.id] ?? []) * 4
        }
        for (s, segment) in segments.enumerated() {
            // What a whole chunk needs lives as long as the segment runs, whatever the slice.
            for value in segment.steps.flatMap(\.writes) where whole.contains(value) {
                memory.allocate(value, byteCount: bytes(value, segment))
            }
            for (i, step) in segment.steps.enumerated() {
                for value in step.writes where !whole.contains(value) && !external.contains(value) {
                    if let residual = step.residual, !external.contains(residual), !whole.contains(residual),
                        lastUse[residual].map({ $0 == (s, i) }) == true
                    {
                        memory.rename(residual, to: value)
                    } else {
                        memory.allocate(value, byteCount: bytes(value, segment))
                    }
                }
                for value in Set(step.reads + step.writes)
                where !whole.contains(value) && lastUse[value].map({ $0 == (s, i) }) == true {
                    memory.release(value)
                }
            }
            for value in whole where lastUse[value]?.segment == s { memory.release(value) }
        }
        return (memory, whole)
    }

    /// Bytes that a run uses beside its results and the kernels' scratch memory.
    var memoryBytes: Int { memory.byteCount }

    /// Where a value lies in that memory; nil for inputs and results.
    func offset(_ value: PlanValue) -> Int? { memory.offsets[value] }

    /// Bytes of a value while `slice` images are at work.
    func byteCount(_ value: PlanValue, slice: Int) -> Int {
        (wholeChunk.contains(value) ? chunk : slice) * ImageProgram.elements(value, imageShapes[value.id] ?? []) * 4
    }

    // MARK: - Running

    /// Computes `outputs` for a batch of images of any size up to `batch`.
    func run(_ arrays: [ValueID: NDArray], images: Int) throws -> [ValueID: NDArray] {
        let arena = Scratch.take(memory.byteCount)
        defer { Scratch.give(arena) }
        var run = Run(program: self, arena: arena, images: images)
        for id in inputs { if let array = arrays[id] { run.arrays[id] = array } }
        var results: [ValueID: NDArray] = [:]
        for id in outputs {
            let shape = [images] + (imageShapes[id] ?? [])
            let storage = Storage(byteCount: elementCount(shape) * 4)
            run.results[id] = storage
            results[id] = NDArray(storage: storage, shape: shape, dtype: .float32)
        }
        for first in stride(from: 0, to: images, by: chunk) {
            run.first = first
            let last = min(first + chunk, images)
            for segment in segments {
                for begin in stride(from: first, to: last, by: segment.sliceSize) {
                    run.begin = begin
                    run.count = min(segment.sliceSize, last - begin)
                    for step in segment.steps { try run.perform(step) }
                }
            }
        }
        return results
    }

    /// One run's memory, and the chunk and the slice it is at.
    private struct Run {
        let program: ImageProgram
        let arena: Storage
        let images: Int
        var arrays: [ValueID: NDArray] = [:]
        var results: [ValueID: Storage] = [:]
        var first = 0
        var begin = 0
        var count = 0

        func elements(_ value: PlanValue) -> Int {
            ImageProgram.elements(value, program.imageShapes[value.id] ?? [])
        }

        /// Where the slice's part of a value is. The memory outlives the run.
        func pointer(_ value: PlanValue) -> UnsafeMutablePointer<Float> {
            if value.layout == .planar, let storage = results[value.id] {
                return storage.pointer.assumingMemoryBound(to: Float.self) + begin * elements(value)
            }
            let base = (arena.pointer + (program.memory.offsets[value] ?? 0)).assumingMemoryBound(to: Float.self)
            return program.wholeChunk.contains(value) ? base + (begin - first) * elements(value) : base
        }

        func reading<R>(_ value: PlanValue, _ body: (UnsafePointer<Float>) throws -> R) rethrows -> R {
            guard value.layout == .planar, let array = arrays[value.id] else {
                return try body(UnsafePointer(pointer(value)))
            }
            let start = begin * elements(value)
            return try array.withElements(as: Float.self) { buffer in
                guard let base = buffer.baseAddress else { return try body(UnsafePointer(pointer(value))) }
                return try body(base + start)
            }
        }

        func perform(_ step: Step) throws {
            switch step {
            case .convolution(let convolution, let input, let residual, let output):
                reading(input) { x in
                    if let residual {
                        reading(residual) { r in convolve(convolution, x, input, r, output) }
                    } else {
                        convolve(convolution, x, input, nil, output)
                    }
                }
            case .maxPool(let pool, let input, let output):
                pool.run(images: count, input: pointer(input), output: pointer(output))
            case .globalAverage(let input, let output):
                let shape = program.imageShapes[input.id] ?? []
                globalAverageBlocked(
                    pointer(input), images: count, channels: shape[0], positions: shape.dropFirst().reduce(1, *),
                    into: pointer(output))
            case .addition(let a, let b, let activation, let output):
                addBlocked(
                    pointer(a), pointer(b), count: count * elements(output), activation: activation,
                    into: pointer(output))
            case .convert(let from, let to):
                let shape = program.imageShapes[from.id] ?? []
                let positions = shape.dropFirst().reduce(1, *)
                reading(from) { x in
                    if to.layout == .blocked {
                        blockChannels(x, images: count, channels: shape[0], positions: positions, into: pointer(to))
                    } else {
                        unblockChannels(x, images: count, channels: shape[0], positions: positions, into: pointer(to))
                    }
                }
            case .node(let index, let inputs, let outputs):
                try compute(program.graph.nodes[index], inputs, outputs)
            }
        }

        private func convolve(
            _ convolution: PackedConvolution, _ x: UnsafePointer<Float>, _ input: PlanValue,
            _ residual: UnsafePointer<Float>?, _ output: PlanValue
        ) {
            convolution.run(
                batch: count, input: x, inputLayout: input.layout, residual: residual, output: pointer(output),
                outputLayout: output.layout)
        }

        private func compute(_ node: Graph.Node, _ inputs: [ValueID?], _ outputs: [ValueID?]) throws {
            let operands = inputs.map { id -> NDArray? in
                guard let id else { return nil }
                if let constant = program.constants[id] { return constant }
                let value = PlanValue(id: id, layout: .planar)
                if let array = arrays[id] { return array.rows(begin..<begin + count) }
                let bytes = UnsafeRawBufferPointer(start: pointer(value), count: count * elements(value) * 4)
                let shape = [count] + (program.imageShapes[id] ?? [])
                return NDArray(storage: Storage(borrowing: bytes, owner: arena), shape: shape, dtype: .float32)
            }
            do {
                for (id, array) in zip(outputs, try node.op.forward(operands)) {
                    guard let id else { continue }
                    let target = pointer(PlanValue(id: id, layout: .planar))
                    array.withUnsafeBytes { bytes in
                        guard let base = bytes.baseAddress else { return }
                        UnsafeMutableRawPointer(target).copyMemory(from: base, byteCount: bytes.count)
                    }
                }
            } catch {
                throw GraphError(node, error)
            }
        }
    }
}

extension ImageProgram.Step {
    var reads: [PlanValue] {
        switch self {
        case .convolution(_, let input, let residual, _): [input] + (residual.map { [$0] } ?? [])
        case .maxPool(_, let input, _), .globalAverage(let input, _), .convert(let input, _): [input]
        case .addition(let a, let b, _, _): [a, b]
        case .node(_, let inputs, _): inputs.compactMap { $0.map { PlanValue(id: $0, layout: .planar) } }
        }
    }

    var writes: [PlanValue] {
        switch self {
        case .convolution(_, _, _, let output), .maxPool(_, _, let output), .globalAverage(_, let output),
            .addition(_, _, _, let output), .convert(_, let output):
            [output]
        case .node(_, _, let outputs): outputs.compactMap { $0.map { PlanValue(id: $0, layout: .planar) } }
        }
    }

    /// A convolution's residual, where its result may take that memory: it must not be what the convolution still reads.
    var residual: PlanValue? {
        if case .convolution(_, let input, let residual, let output) = self, residual != input,
            residual?.layout == output.layout
        {
            return residual
        }
        return nil
    }
}
