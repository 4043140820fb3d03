import TensorCore

/// What a plan will run for one batch, for people and for JSON.
public struct PlanDescription: Encodable, Sendable {
    /// A piece of work, with what it reads and writes.
    public struct Step: Encodable, Sendable {
        /// The value that the step makes, by its name in the graph.
        public var output: String
        /// How it is computed: an algorithm of convolution, or the operator.
        public var algorithm: String
        /// `[C, H, W]` of an image before and after.
        public var inputShape: [Int]
        public var outputShape: [Int]
        /// Kernel and stride of a convolution: `3x3/1`.
        public var window: String?
        /// What happens on the way to memory: a residual sum, an activation.
        public var fused: [String]
        /// Images at a time; nil for what runs on the whole batch.
        public var slice: Int?
        /// Bytes of weights as the kernels read them, of the output, and where in the plan's memory the output lies.
        public var weightBytes: Int
        public var outputBytes: Int
        public var offset: Int?
    }

    public var batch: Int
    public var steps: [Step]
    /// Bytes of the buffers that all steps share.
    public var bufferBytes: Int

    /// The same as lines of text.
    public var lines: [String] {
        let header = ["value", "computed by", "input", "output", "window", "fused", "images", "weights KB", "at KB"]
        let rows = steps.map { step in
            [
                step.output, step.algorithm, "\(step.inputShape)", "\(step.outputShape)", step.window ?? "",
                step.fused.joined(separator: " "), step.slice.map(String.init) ?? "all",
                step.weightBytes == 0 ? "" : "\(step.weightBytes / 1024)",
                step.offset.map { "\($0 / 1024)+\(step.outputBytes / 1024)" } ?? "",
            ]
        }
        let widths = header.indices.map { column in ([header] + rows).map { $0[column].count }.max() ?? 0 }
        var lines = [
            "plan for a batch of \(batch): \(steps.count) steps, \(bufferBytes / 1024) KB of buffers, "
                + "\(steps.reduce(0) { $0 + $1.weightBytes } / 1024) KB of weights"
        ]
        for row in [header] + rows {
            let cells = zip(row, widths).map { $0 + String(repeating: " ", count: $1 - $0.count) }
            lines.append(cells.joined(separator: "  ").trimmingSuffix(" "))
        }
        return lines
    }
}

extension String {
    fileprivate func trimmingSuffix(_ character: Character) -> String {
        var text = self[...]
        while text.last == character { text.removeLast() }
        return String(text)
    }
}

extension ImageProgram {
    /// The steps of the plan's image part.
    var description: [PlanDescription.Step] {
        segments.flatMap { segment in segment.steps.map { describe($0, slice: segment.sliceSize) } }
    }

    private func describe(_ step: Step, slice: Int) -> PlanDescription.Step {
        let output = step.writes.first, input = step.reads.first
        var result = PlanDescription.Step(
            output: output.map { graph.values[$0.id].name } ?? "", algorithm: "",
            inputShape: input.flatMap { imageShapes[$0.id] } ?? [],
            outputShape: output.flatMap { imageShapes[$0.id] } ?? [], window: nil, fused: [], slice: slice,
            weightBytes: 0, outputBytes: output.map { byteCount($0, slice: slice) } ?? 0,
            offset: output.flatMap(offset))
        switch step {
        case .convolution(let convolution, _, let residual, _):
            result.algorithm = convolution.algorithm
            let sizes = convolution.kernelShape.map(String.init).joined(separator: "x")
            result.window = "\(sizes)/\(convolution.geometry.stride.map(String.init).joined(separator: "x"))"
            if residual != nil { result.fused.append("+residual") }
            result.fused += convolution.activation.names
            result.weightBytes = convolution.packedBytes
        case .maxPool: result.algorithm = "MaxPool, blocked"
        case .globalAverage: result.algorithm = "GlobalAveragePool, blocked"
        case .addition(_, _, let activation, _):
            result.algorithm = "Add, blocked"
            result.fused = activation.names
        case .convert(_, let to): result.algorithm = to.layout == .blocked ? "to blocks" : "from blocks"
        case .node(let index, _, _): result.algorithm = graph.nodes[index].opType
        }
        return result
    }
}

extension FusedActivation {
    fileprivate var names: [String] {
        switch self {
        case .none: []
        case .relu: ["relu"]
        case .clip(let low, let high): ["clip(\(low), \(high))"]
        }
    }
}
