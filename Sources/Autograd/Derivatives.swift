import TensorCore

// Derivatives of functions of one tensor. The point is detached, so that nothing recorded before it takes part.

/// The Jacobian of `function` at `point`: element [i..., j...] is ∂y[i...] / ∂x[j...].
///
/// One backward pass per element of the result. With `createGraph` the Jacobian can be differentiated by what `function`
/// captures. Throws what `function` throws. Source: `torch.autograd.functional.jacobian`.
public func jacobian(
    _ function: (Tensor) throws -> Tensor, at point: Tensor, createGraph: Bool = false
) throws -> Tensor {
    try enableGrad {
        let x = try leaf(at: point)
        let y = try function(x)
        let shape = y.shape + x.shape
        guard y.requiresGrad, y.count > 0 else { return Tensor(NDArray.zeros(shape, dtype: y.dtype)) }
        var rows: [Tensor] = []
        for index in 0..<y.count {
            var unit = [Double](repeating: 0, count: y.count)
            unit[index] = 1
            let seed = Tensor(NDArray(unit, shape: y.shape).converted(to: y.dtype))
            let row = try grad(
                of: [y], wrt: [x], gradOutputs: [seed], retainGraph: true, createGraph: createGraph, allowUnused: true)
            rows.append(row[0] ?? Tensor(NDArray.zeros(x.shape, dtype: x.dtype)))
        }
        return try apply(Stacked(shape: shape), rows)[0]
    }
}

/// The Hessian of a scalar `function` at `point`: element [i..., j...] is ∂²y / ∂x[i...] ∂x[j...].
///
/// Throws `gradientNeeded` for a result of more than one element. Source: `torch.autograd.functional.hessian`.
public func hessian(
    _ function: (Tensor) throws -> Tensor, at point: Tensor, createGraph: Bool = false
) throws -> Tensor {
    try jacobian(
        { x in try gradient(of: function, at: x) ?? Tensor(NDArray.zeros(x.shape, dtype: x.dtype)) }, at: point,
        createGraph: createGraph)
}

/// The value of `function` at `point` and the Jacobian times `vector`, by differentiating the gradient twice.
///
/// Throws `gradientMismatch` for a vector of another shape than the point. Source: `torch.autograd.functional.jvp`.
public func jvp(
    _ function: (Tensor) throws -> Tensor, at point: Tensor, vector: Tensor, createGraph: Bool = false
) throws -> (value: Tensor, product: Tensor) {
    try checkVector(vector, point, "jvp")
    return try enableGrad {
        let x = try leaf(at: point)
        let y = try function(x)
        let zero = Tensor(NDArray.zeros(y.shape, dtype: y.dtype))
        guard y.requiresGrad else { return (y, zero) }
        // The gradient is linear in u, with the Jacobian's transpose as its matrix: its derivative by u is the Jacobian.
        let u = try Tensor(NDArray.zeros(y.shape, dtype: y.dtype), requiresGrad: true)
        let first = try grad(of: [y], wrt: [x], gradOutputs: [u], createGraph: true, allowUnused: true)[0]
        guard let first, first.requiresGrad else { return (createGraph ? y : y.detach(), zero) }
        let product = try grad(
            of: [first], wrt: [u], gradOutputs: [vector], retainGraph: true, createGraph: createGraph,
            allowUnused: true)[0]
        return (createGraph ? y : y.detach(), product ?? zero)
    }
}

/// The value of `function` at `point` and `vector` times the Jacobian: the gradient with `vector` as the output's.
///
/// Source: `torch.autograd.functional.vjp`.
public func vjp(
    _ function: (Tensor) throws -> Tensor, at point: Tensor, vector: Tensor, createGraph: Bool = false
) throws -> (value: Tensor, product: Tensor) {
    try enableGrad {
        let x = try leaf(at: point)
        let y = try function(x)
        let zero = Tensor(NDArray.zeros(x.shape, dtype: x.dtype))
        guard y.requiresGrad else { return (y, zero) }
        let product = try grad(
            of: [y], wrt: [x], gradOutputs: [vector], createGraph: createGraph, allowUnused: true)[0]
        return (createGraph ? y : y.detach(), product ?? zero)
    }
}

/// The value of a scalar `function` at `point` and its Hessian times `vector`, without making the Hessian.
///
/// Source: `torch.autograd.functional.hvp`.
public func hvp(
    _ function: (Tensor) throws -> Tensor, at point: Tensor, vector: Tensor, createGraph: Bool = false
) throws -> (value: Tensor, product: Tensor) {
    try checkVector(vector, point, "hvp")
    return try enableGrad {
        let x = try leaf(at: point)
        let y = try function(x)
        let zero = Tensor(NDArray.zeros(x.shape, dtype: x.dtype))
        guard y.requiresGrad else { return (y, zero) }
        let first = try grad(of: [y], wrt: [x], createGraph: true, allowUnused: true)[0]
        guard let first, first.requiresGrad else { return (createGraph ? y : y.detach(), zero) }
        let product = try grad(
            of: [first], wrt: [x], gradOutputs: [vector], createGraph: createGraph, allowUnused: true)[0]
        return (createGraph ? y : y.detach(), product ?? zero)
    }
}

private func leaf(at point: Tensor) throws -> Tensor { try Tensor(point.array, requiresGrad: true) }

private func gradient(of function: (Tensor) throws -> Tensor, at x: Tensor) throws -> Tensor? {
    let y = try function(x)
    guard y.requiresGrad else { return nil }
    return try grad(of: [y], wrt: [x], createGraph: true, allowUnused: true)[0]
}

private func checkVector(_ vector: Tensor, _ point: Tensor, _ operation: String) throws {
    guard vector.shape == point.shape, vector.dtype == point.dtype else {
        throw AutogradError.gradientMismatch(
            operation: operation, expected: "shape \(point.shape) of \(point.dtype)",
            actual: "shape \(vector.shape) of \(vector.dtype)")
    }
}

/// Tensors of one shape, one after another, under a new shape.
private struct Stacked: DifferentiableFunction {
    let shape: [Int]
    let name = "Stack"

    func forward(_ inputs: [NDArray?]) throws -> [NDArray] {
        let rows = inputs.compactMap { $0.map { $0.reshaped([1] + $0.shape) } }
        return [try NDArray.concatenate(rows, axis: 0).reshaped(shape)]
    }

    func saved(for needs: IndexSet64) -> SavedValues { .none }

    func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
        guard let g = gradOutputs[0] else { return (0..<context.inputCount).map { _ in nil } }
        return try (0..<context.inputCount).map { index in
            guard context.needs(index) else { return nil }
            return try apply(Row(index: index, rowShape: context.inputShape(index)), g)
        }
    }
}

/// Row `index` of what `Stacked` made.
private struct Row: DifferentiableFunction {
    let index: Int
    let rowShape: [Int]
    let name = "Select"

    func forward(_ inputs: [NDArray?]) throws -> [NDArray] {
        inputs.compactMap { x in
            x.map { $0.reshaped([$0.count / max(1, elementCount(rowShape))] + rowShape).rows(index..<index + 1) }
        }.map { $0.reshaped(rowShape) }
    }

    func saved(for needs: IndexSet64) -> SavedValues { .none }

    func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
        guard let g = gradOutputs[0] else { return [nil] }
        let rows = context.inputShape(0).reduce(1, *) / max(1, elementCount(rowShape))
        let zero = Tensor(NDArray.zeros(rowShape, dtype: g.dtype))
        let all = (0..<rows).map { $0 == index ? g : zero }
        return [try apply(Stacked(shape: context.inputShape(0)), all)[0]]
    }
}
