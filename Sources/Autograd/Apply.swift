import TensorCore

/// Computes `function` and records it when grad mode is on and an input requires gradients.
///
/// Throws what `function.forward` throws, typically `ShapeError`.
public func apply(_ function: some DifferentiableFunction, _ inputs: [Tensor?]) throws -> [Tensor] {
    var needs: IndexSet64 = []
    for (index, input) in inputs.enumerated() where input?.flag == true { needs.insert(IndexSet64(index: index)) }
    if needs.isEmpty || !GradMode.isEnabled {
        return try function.forward(inputs.map { $0?.cell.array }).map { Tensor($0) }
    }
    return try record(function, inputs, needs: needs)
}

/// `apply` of a function with one output.
public func apply(_ function: some DifferentiableFunction, _ inputs: Tensor?...) throws -> Tensor {
    try apply(function, inputs)[0]
}

private func record(
    _ function: some DifferentiableFunction, _ inputs: [Tensor?], needs: IndexSet64
) throws -> [Tensor] {
    let (outputs, residuals) = try function.forwardWithResiduals(inputs.map { $0?.cell.array })
    let saved = function.saved(for: needs)
    let savesValues = !saved.inputs.isEmpty || !saved.outputs.isEmpty || (saved.residuals && !residuals.isEmpty)
    let frame = savesValues ? CheckpointFrame.current : nil

    // A checkpoint numbers what it saves in this order: inputs, outputs, residuals.
    var nodeInputs: [Node.Input] = []
    nodeInputs.reserveCapacity(inputs.count)
    for (index, input) in inputs.enumerated() {
        nodeInputs.append(Node.Input(input, isSaved: saved.inputs.contains(index: index), in: frame))
    }
    var results: [Tensor] = []
    results.reserveCapacity(outputs.count)
    var nodeOutputs: [Node.Output] = []
    nodeOutputs.reserveCapacity(outputs.count)
    for (index, array) in outputs.enumerated() {
        let cell = Tensor.Cell(array)
        nodeOutputs.append(Node.Output(cell, isSaved: saved.outputs.contains(index: index), in: frame))
        results.append(Tensor(sharing: cell))
    }
    let node = Node(
        function: function, inputs: nodeInputs, outputs: nodeOutputs, needs: needs, savesValues: savesValues)
    if saved.residuals && !residuals.isEmpty { node.residuals = Node.Residuals(residuals, in: frame) }
    // Integer outputs (indices, shapes) are never differentiable.
    for (index, result) in results.enumerated() where result.dtype.isFloatingPoint {
        result.becomeOutput(index, of: node)
    }
    return results
}

// What is saved is kept by the node itself, or computed again by the checkpoint that is being recorded.

extension Node.Input {
    fileprivate init(_ input: Tensor?, isSaved: Bool, in frame: CheckpointFrame?) {
        guard let input else {
            self.init(edge: .none, isPresent: false, shape: [], dtype: .float32, saved: .nothing)
            return
        }
        var keep = Node.Saved.nothing
        if isSaved {
            keep =
                frame.map { .checkpointed($0, slot: $0.save(input.cell.array), version: input.cell.version) }
                ?? .tensor(input, version: input.cell.version)
        }
        self.init(
            edge: Node.Edge(to: input), isPresent: true, shape: input.shape, dtype: input.dtype, saved: keep)
    }
}

extension Node.Output {
    fileprivate init(_ cell: Tensor.Cell, isSaved: Bool, in frame: CheckpointFrame?) {
        var keep = Node.SavedOutput.nothing
        if isSaved {
            keep = frame.map { .checkpointed($0, slot: $0.save(cell.array)) } ?? .value(cell, version: 0)
        }
        self.init(shape: cell.array.shape, dtype: cell.array.dtype, saved: keep)
    }
}

extension Node.Residuals {
    fileprivate init(_ arrays: [NDArray], in frame: CheckpointFrame?) {
        guard let frame else {
            self = .arrays(arrays)
            return
        }
        self = .checkpointed(frame, slot: arrays.map { frame.save($0) }[0], count: arrays.count)
    }
}

extension Node.Edge {
    /// Where `input` came from.
    fileprivate init(to input: Tensor) {
        if let node = input.gradFn {
            self = .node(node, index: input.outputIndex)
        } else if input.flag {
            self = .leaf(input)
        } else if !input.dtype.isFloatingPoint || input.isLiteral {
            self = .none
        } else {
            let extras = input.ensureExtras()
            let watch = extras.watch ?? LeafWatch(label: input.label, isParameter: input.role != nil)
            extras.watch = watch
            self = .constant(watch)
        }
    }
}

// MARK: - In-place changes

extension Tensor {
    /// Replaces the value by `function(self, others...)`, in place, and records it.
    ///
    /// The recorded operation keeps the old value where its gradient reads it, as PyTorch's in-place methods do.
    /// Detached siblings see the new value, and the version counter tells every recorded operation that saved the old one.
    /// Throws `inPlaceOnLeaf` for a leaf that requires gradients while recording.
    @discardableResult
    public final func applyInPlace(_ function: some DifferentiableFunction, _ others: Tensor?...) throws -> Self {
        let recording = GradMode.isEnabled && (flag || others.contains { $0?.flag == true })
        if recording && flag && isLeaf {
            throw AutogradError.inPlaceOnLeaf(tensor: label, operation: "\(function.name.lowercased())_")
        }
        let result = try apply(function, [asItIs] + others.map { $0?.cell === cell ? $0?.asItIs : $0 })[0]
        guard result.shape == shape, result.dtype == dtype else {
            throw ShapeError(
                "\(function.name.lowercased())_",
                "expected a result of shape \(shape) of \(dtype), got \(result.shape) of \(result.dtype)")
        }
        if let node = result.gradFn, case .value = node.outputs[result.outputIndex].saved {
            // The node keeps its output: from now on that value lives in this tensor's cell.
            node.outputs[result.outputIndex].saved = .value(cell, version: cell.version + 1)
        }
        cell.array = result.cell.array
        cell.version += 1
        if recording {
            let retains = extras?.retainsGrad == true
            if retains { gradFn?.forgetRetained(self) }
            gradFn = result.gradFn
            outputIndex = result.outputIndex
            flag = result.flag
            // `grad` is that of the new value.
            if retains { gradFn?.retain(self, at: outputIndex) }
        }
        return self
    }

    /// The tensor as it is now, history and all, in a cell of its own: in-place changes of this one do not reach it.
    private final var asItIs: Tensor {
        Tensor(sharing: Cell(cell.array), requiresGrad: flag, gradFn: gradFn, outputIndex: outputIndex)
    }

    /// Changes the value through `body`, unrecorded, and counts it as an in-place change: for optimizers and loaders.
    ///
    /// Throws `inPlaceOnLeaf` when the tensor requires gradients and grad mode is on.
    public final func mutate<R>(_ body: (inout NDArray) throws -> R) throws -> R {
        if flag && GradMode.isEnabled { throw AutogradError.inPlaceOnLeaf(tensor: label, operation: "mutate") }
        cell.version += 1
        let (shape, dtype) = (cell.array.shape, cell.array.dtype)
        defer {
            demand(
                cell.array.shape == shape && cell.array.dtype == dtype, "mutate must keep shape \(shape) and \(dtype)")
        }
        return try body(&cell.array)
    }
}
