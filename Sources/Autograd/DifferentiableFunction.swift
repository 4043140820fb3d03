import TensorCore

/// A function of arrays with a rule for its gradient: the unit that autograd records.
///
/// `forward` computes on arrays and knows nothing of recording. `vjp` maps the gradients of the outputs to gradients of
/// the inputs and is written in tensor operations, so that a gradient can be differentiated again. The library's operators
/// conform to it, and so do a user's own operations (as `torch.autograd.Function`).
public protocol DifferentiableFunction {
    /// `"Mul"` shows as `<MulBackward0>`.
    var name: String { get }

    /// What `gradFn` prints between the angle brackets.
    var backwardName: String { get }

    /// Computes the outputs. An omitted optional input is nil.
    func forward(_ inputs: [NDArray?]) throws -> [NDArray]

    /// As `forward`, and also what only the vjp needs: indices of maxima, batch statistics, masks.
    ///
    /// Called while recording. The default has no residuals.
    func forwardWithResiduals(_ inputs: [NDArray?]) throws -> (outputs: [NDArray], residuals: [NDArray])

    /// Which values the vjp will read, given which inputs need a gradient; nothing else is kept alive.
    func saved(for needs: IndexSet64) -> SavedValues

    /// Gradients of the inputs from those of the outputs; nil where none is needed or it is zero.
    ///
    /// A missing output gradient is zero. Only inputs with `context.needs(i)` are asked for.
    func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?]
}

extension DifferentiableFunction {
    public var backwardName: String { "\(name)Backward0" }

    public func forwardWithResiduals(_ inputs: [NDArray?]) throws -> (outputs: [NDArray], residuals: [NDArray]) {
        (try forward(inputs), [])
    }
}

/// A set of positions 0...63, used for inputs and outputs of a function.
public struct IndexSet64: OptionSet, Sendable, Hashable {
    public let rawValue: UInt64
    @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }
    /// Positions past 63 share one bit, so that a function of many inputs keeps all of those or none.
    @inlinable public init(index: Int) { rawValue = 1 << UInt64(min(index, 63)) }
    @inlinable public func contains(index: Int) -> Bool { rawValue & (1 << UInt64(min(index, 63))) != 0 }
    /// Every position.
    public static let all = IndexSet64(rawValue: .max)
}

extension IndexSet64: ExpressibleByIntegerLiteral {
    public init(integerLiteral value: Int) { self.init(index: value) }
}

/// What a vjp reads.
public struct SavedValues: Sendable {
    public var inputs: IndexSet64
    public var outputs: IndexSet64
    /// False when the residuals can be dropped.
    public var residuals: Bool

    /// Nothing but the residuals by default.
    public init(inputs: IndexSet64 = [], outputs: IndexSet64 = [], residuals: Bool = true) {
        self.inputs = inputs
        self.outputs = outputs
        self.residuals = residuals
    }

    public static let none = SavedValues()
}

/// The values that a vjp may read.
public struct VJPContext {
    let node: Node
    let wanted: IndexSet64

    /// Whether input `index` needs a gradient.
    public func needs(_ index: Int) -> Bool { index < node.inputs.count && wanted.contains(index: index) }

    /// Saved input `index`, with its history; nil for an omitted optional input. Throws if it was changed in place.
    public func input(_ index: Int) throws -> Tensor { try node.savedInput(index) }

    /// Saved output `index`, with its history. Throws if it was changed in place.
    public func output(_ index: Int) throws -> Tensor { try node.savedOutput(index) }

    /// Residual `index` of `forwardWithResiduals`.
    public func residual(_ index: Int) throws -> NDArray { try node.savedResidual(index) }

    /// True when the optional input was given.
    public func hasInput(_ index: Int) -> Bool { index < node.inputs.count && node.inputs[index].isPresent }

    /// Shape of input `index`.
    public func inputShape(_ index: Int) -> [Int] { node.inputs[index].shape }
    /// Element type of input `index`.
    public func inputDType(_ index: Int) -> DType { node.inputs[index].dtype }
    /// Shape of output `index`.
    public func outputShape(_ index: Int) -> [Int] { node.outputs[index].shape }
    public var inputCount: Int { node.inputs.count }
    public var outputCount: Int { node.outputs.count }
}
