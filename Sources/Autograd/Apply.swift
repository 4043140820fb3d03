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
    let keepsValues = !saved.inputs.isEmpty || !saved.outputs.isEmpty || (saved.residuals && !residuals.isEmpty)
    let frame = keepsValues ? CheckpointFrame.current : nil

    var nodeInputs: [Node.Input] = []
    nodeInputs.reserveCapacity(inputs.count)
    for (index, input) in inputs.enumerated() {
        guard let input else {
            nodeInputs.append(Node.Input(edge: .none, isPresent: false, shape: [], dtype: .float32, saved: .nothing))
            continue
        }
        var keep = Node.Saved.nothing
        if saved.inputs.contains(index: index) {
            if let frame {
                keep = .checkpointed(frame, slot: frame.save(input.cell.array))
            } else {
                keep = .tensor(input, version: input.cell.version)
            }
        }
        nodeInputs.append(
            Node.Input(edge: edge(to: input), isPresent: true, shape: input.shape, dtype: input.dtype, saved: keep))
    }

    var results: [Tensor] = []
    results.reserveCapacity(outputs.count)
    var nodeOutputs: [Node.Output] = []
    nodeOutputs.reserveCapacity(outputs.count)
    for (index, array) in outputs.enumerated() {
        let cell = Tensor.Cell(array)
        var keep = Node.SavedOutput.nothing
        if saved.outputs.contains(index: index) {
            if let frame {
                keep = .checkpointed(frame, slot: frame.save(array))
            } else {
                keep = .value(cell, version: 0)
            }
        }
        results.append(Tensor(sharing: cell))
        nodeOutputs.append(Node.Output(shape: array.shape, dtype: array.dtype, saved: keep))
    }
    let node = Node(
        function: function, inputs: nodeInputs, outputs: nodeOutputs, needs: needs, savesValues: keepsValues)
    if saved.residuals && !residuals.isEmpty {
        if let frame {
            let slot = residuals.map { frame.save($0) }[0]
            node.residuals = .checkpointed(frame, slot: slot, count: residuals.count)
        } else {
            node.residuals = .arrays(residuals)
        }
    }
    // Integer outputs (indices, shapes) are never differentiable.
    for (index, result) in results.enumerated() where result.dtype.isFloatingPoint {
        result.becomeOutput(index, of: node)
    }
    return results
}

private func edge(to input: Tensor) -> Node.Edge {
    if let node = input.gradFn { return .node(node, index: input.outputIndex) }
    if input.flag { return .leaf(input) }
    guard input.dtype.isFloatingPoint, !input.isLiteral else { return .none }
    let extras = input.ensureExtras()
    let watch = extras.watch ?? LeafWatch(label: input.label)
    extras.watch = watch
    return .constant(watch)
}

// MARK: - In-place changes

extension Tensor {
    /// Replaces the value by `function(self, others...)`, in place, and records it.
    ///
    /// Detached siblings see the new value, and the version counter tells every recorded operation that saved the old one.
    /// Throws `inPlaceOnLeaf` for a leaf that requires gradients while recording.
    @discardableResult
    public final func applyInPlace(_ function: some DifferentiableFunction, _ others: Tensor?...) throws -> Self {
        let recording = GradMode.isEnabled && (flag || others.contains { $0?.flag == true })
        if recording && flag && isLeaf {
            throw AutogradError.inPlaceOnLeaf(tensor: label, operation: "\(function.name.lowercased())_")
        }
        // The operation must see the tensor as it was: history and all.
        let before = Tensor(sharing: cell, requiresGrad: flag, gradFn: gradFn, outputIndex: outputIndex)
        let result = try apply(function, [before] + others)[0]
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
            gradFn = result.gradFn
            outputIndex = result.outputIndex
            flag = result.flag
        }
        return self
    }

    /// Changes the value through `body`, unrecorded, and counts it as an in-place change: for optimizers and loaders.
    ///
    /// Throws `inPlaceOnLeaf` when the tensor requires gradients and grad mode is on.
    public final func mutate<R>(_ body: (inout NDArray) throws -> R) throws -> R {
        if flag && GradMode.isEnabled { throw AutogradError.inPlaceOnLeaf(tensor: label, operation: "mutate") }
        cell.version += 1
        let (shape, dtype) = (cell.array.shape, cell.array.dtype)
        defer {
            precondition(
                cell.array.shape == shape && cell.array.dtype == dtype, "mutate must keep shape \(shape) and \(dtype)")
        }
        return try body(&cell.array)
    }
}
