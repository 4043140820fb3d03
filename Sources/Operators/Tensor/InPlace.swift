import Autograd
import TensorCore

// Every function here changes the tensor, its detached siblings included, and counts in its version. They throw
// `AutogradError.inPlaceOnLeaf` for a leaf that requires gradients while recording, and `ShapeError` when the result has
// another shape or kind of number; a later `backward()` that needs the old value throws `modifiedInPlace`.
extension Tensor {
    /// x += alpha · other. Source: `Tensor.add_`.
    @discardableResult
    public func add_(_ other: Tensor, alpha: Double = 1) throws -> Self {
        try applyInPlace(Op.Add(), fitting(alpha == 1 ? other : other * alpha, "add_"))
    }
    @discardableResult
    public func add_(_ other: some NumberOperand) throws -> Self { try add_(other.literal(beside: self)) }

    /// x −= alpha · other. Source: `Tensor.sub_`.
    @discardableResult
    public func sub_(_ other: Tensor, alpha: Double = 1) throws -> Self {
        try applyInPlace(Op.Sub(), fitting(alpha == 1 ? other : other * alpha, "sub_"))
    }
    @discardableResult
    public func sub_(_ other: some NumberOperand) throws -> Self { try sub_(other.literal(beside: self)) }

    /// x *= other. Source: `Tensor.mul_`.
    @discardableResult
    public func mul_(_ other: Tensor) throws -> Self { try applyInPlace(Op.Mul(), fitting(other, "mul_")) }
    @discardableResult
    public func mul_(_ other: some NumberOperand) throws -> Self { try mul_(other.literal(beside: self)) }

    /// x /= other. Source: `Tensor.div_`.
    @discardableResult
    public func div_(_ other: Tensor) throws -> Self {
        guard dtype.isFloatingPoint else {
            throw ShapeError("div_", "the quotient is float32, which does not fit into \(dtype)")
        }
        return try applyInPlace(Op.Div(), fitting(other, "div_"))
    }
    @discardableResult
    public func div_(_ other: some NumberOperand) throws -> Self { try div_(other.literal(beside: self)) }

    /// Every element becomes 0. Source: `Tensor.zero_`.
    @discardableResult
    public func zero_() throws -> Self { try applyInPlace(Fill(value: 0, name: "Zero")) }

    /// Every element becomes `value`. Source: `Tensor.fill_`.
    @discardableResult
    public func fill_(_ value: Double) throws -> Self { try applyInPlace(Fill(value: value, name: "Fill")) }

    /// The values of `source`, which broadcast and are converted to this type. Source: `Tensor.copy_`.
    @discardableResult
    public func copy_(_ source: Tensor) throws -> Self { try applyInPlace(Copy(), source) }

    /// x = eˣ. Source: `torch.exp_`.
    @discardableResult
    public func exp_() throws -> Self { try applyInPlace(Op.Exp()) }

    /// x = max(x, 0). Source: `torch.relu_`.
    @discardableResult
    public func relu_() throws -> Self { try applyInPlace(Op.Relu()) }

    /// Every element limited to `min` ... `max`. Source: `Tensor.clamp_`.
    @discardableResult
    public func clamp_(min: Double? = nil, max: Double? = nil) throws -> Self {
        try applyInPlace(Clamp(min: min, max: max))
    }

    /// `other` in this type, provided that the result is of this kind of number.
    private func fitting(_ other: Tensor, _ operation: String) throws -> Tensor {
        let result = resultType(self, other)
        guard result.isFloatingPoint == dtype.isFloatingPoint, (result == .bool) == (dtype == .bool) else {
            throw ShapeError(operation, "the result is \(result), which does not fit into \(dtype)")
        }
        return other.to(dtype)
    }
}

/// The operand replaced by one value.
private struct Fill: DifferentiableFunction {
    let value: Double
    let name: String
    func forward(_ inputs: [NDArray?]) throws -> [NDArray] {
        inputs.compactMap { $0.map { .full($0.shape, value, dtype: $0.dtype) } }
    }
    func saved(for needs: IndexSet64) -> SavedValues { .none }
    func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
        gradOutputs.map { $0.map { Tensor(NDArray.zeros($0.shape, dtype: $0.dtype)) } }
    }
}

/// The first operand replaced by the second.
private struct Copy: DifferentiableFunction {
    var name: String { "Copy" }
    var backwardName: String { "CopyBackwards" }
    func forward(_ inputs: [NDArray?]) throws -> [NDArray] {
        guard let x = inputs[0], let source = inputs[1] else { return [] }
        return [try source.converted(to: x.dtype).broadcast(to: x.shape)]
    }
    func saved(for needs: IndexSet64) -> SavedValues { .none }
    func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
        guard let g = gradOutputs[0] else { return [nil, nil] }
        return [
            context.needs(0) ? Tensor.zerosLike(g) : nil,
            context.needs(1) ? try g.summed(to: context.inputShape(1)).to(context.inputDType(1)) : nil,
        ]
    }
}
