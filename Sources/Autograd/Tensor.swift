import TensorCore

/// An array that remembers how it was computed.
///
/// A tensor made by the user is a *leaf*. Results of operations on tensors with `requiresGrad` carry a `gradFn`, the
/// last recorded operation; `backward()` walks from there and fills `grad` of every leaf that asked for it. Semantics are
/// those of `torch.Tensor`, with one difference: slices and reshapes are values, not writable views; only `detach()`
/// shares memory that in-place changes reach.
///
/// Not `Sendable`: a tensor and the graph behind it belong to one task at a time. Subclasses mark the role of a leaf, as
/// `Parameter` does; how a tensor computes and records is not theirs to change.
open class Tensor {
    /// The value, shared with detached siblings, with a counter of in-place changes.
    ///
    /// A tensor belongs to one task at a time and no access here calls out, so that accesses cannot overlap: they are not
    /// checked at run time, here and in `Node`.
    final class Cell {
        @exclusivity(unchecked) var array: NDArray
        @exclusivity(unchecked) var version = 0
        init(_ array: NDArray) { self.array = array }
    }

    /// What few tensors have, kept out of the common case.
    final class Extras {
        var name: String?
        var hooks: [(id: Int, hook: (Tensor) throws -> Tensor?)] = []
        var nextHook = 0
        var retainsGrad = false
        /// Present once the leaf was recorded as a constant: the graph sees a later change of the flag through it.
        var watch: LeafWatch?
    }

    final let cell: Cell
    @exclusivity(unchecked) final var flag: Bool
    final var extras: Extras?
    @exclusivity(unchecked) final var outputIndex = 0
    /// A number written in an expression: no one can ask it for gradients later, so the graph need not watch it.
    private(set) final var isLiteral = false

    /// The operation that produced this tensor; nil for leaves. Source: `Tensor.grad_fn`.
    @exclusivity(unchecked) public final internal(set) var gradFn: Node?

    /// The accumulated gradient: nil until `backward()`, and for non-leaves unless `retainGrad()` was called before.
    public final var grad: Tensor?

    /// A leaf holding `array`.
    public init(_ array: NDArray) {
        cell = Cell(array)
        flag = false
    }

    /// A leaf holding `array` that requires gradients. Throws for integer and bool arrays.
    public convenience init(_ array: NDArray, requiresGrad: Bool) throws {
        self.init(array)
        try requiresGrad_(requiresGrad)
    }

    /// A number inside an expression, such as the 2 of `x * 2`.
    public static func literal(_ value: Double, dtype: DType) -> Tensor {
        let tensor = Tensor(NDArray(scalar: value, dtype: dtype))
        tensor.isLiteral = true
        return tensor
    }

    init(sharing cell: Cell, requiresGrad: Bool = false, gradFn: Node? = nil, outputIndex: Int = 0) {
        self.cell = cell
        self.flag = requiresGrad
        self.gradFn = gradFn
        self.outputIndex = outputIndex
    }

    /// Makes a fresh tensor the recorded output `index` of `node`.
    final func becomeOutput(_ index: Int, of node: Node) {
        flag = true
        gradFn = node
        outputIndex = index
    }

    deinit {
        // A long chain must not be released by recursion.
        guard var node = gradFn else { return }
        gradFn = nil
        if isKnownUniquelyReferenced(&node) { Node.dismantle(node) }
    }

    /// What the printed form calls this kind of leaf: `"Parameter"` prints `Parameter containing:`; nil for plain tensors.
    open var role: String? { nil }

    // MARK: Value

    /// The value. Later in-place changes of the tensor do not reach the returned array.
    public final var array: NDArray { cell.array }
    public final var shape: [Int] { cell.array.shape }
    public final var dtype: DType { cell.array.dtype }
    /// Number of elements.
    public final var count: Int { cell.array.count }
    /// Number of axes.
    public final var rank: Int { cell.array.shape.count }
    /// The value of a one-element tensor.
    public final func item() -> Double { cell.array.item() }

    /// A name for messages and drawings; parameters get their path.
    public final var name: String? {
        get { extras?.name }
        set { ensureExtras().name = newValue }
    }

    /// Number of in-place changes so far, shared with detached siblings. Source: `Tensor._version`.
    public final var version: Int { cell.version }

    // MARK: Flags

    /// Whether operations on this tensor are recorded. Setting it is `requiresGrad_`, where a mistake stops the program.
    public final var requiresGrad: Bool {
        get { flag }
        set {
            do { try requiresGrad_(newValue) } catch { mistake("\(error)") }
        }
    }

    /// True for tensors made by the user and results that are not recorded.
    public final var isLeaf: Bool { gradFn == nil }

    /// Sets `requiresGrad` in place and returns the same object.
    ///
    /// Throws `notFloatingPoint` for integer and bool tensors and `flagChangeOnNonLeaf` for results of operations.
    /// Source: `Tensor.requires_grad_`.
    @discardableResult
    public final func requiresGrad_(_ value: Bool = true) throws -> Self {
        if value && !dtype.isFloatingPoint {
            throw AutogradError.notFloatingPoint(tensor: label, dtype: dtype)
        }
        if let gradFn {
            if value { return self }
            throw AutogradError.flagChangeOnNonLeaf(tensor: label, gradFn: gradFn.name)
        }
        flag = value
        extras?.watch?.requiresGrad = value
        return self
    }

    /// A leaf that shares the value and its version counter, without history. Source: `Tensor.detach`.
    public final func detach() -> Tensor { Tensor(sharing: cell) }

    // MARK: Gradients of non-leaves

    /// Keeps `grad` of this non-leaf after `backward()`. Source: `Tensor.retain_grad`.
    public final func retainGrad() throws {
        guard flag else { throw AutogradError.noGradientToObserve(request: "retainGrad()", tensor: label) }
        guard let gradFn, !(extras?.retainsGrad ?? false) else { return }
        ensureExtras().retainsGrad = true
        gradFn.retain(self, at: outputIndex)
    }

    /// `grad`, or an error that says why it is nil and what to do about it.
    public final func gradient() throws -> Tensor {
        if let grad { return grad }
        let reason =
            if !flag {
                "it does not require grad: call requiresGrad_() before the forward pass"
            } else if let gradFn, extras?.retainsGrad != true {
                "it is the result of \(gradFn.name), and only leaves keep theirs: call retainGrad() before backward()"
            } else {
                "no backward() has reached it yet"
            }
        throw AutogradError.noGradient(tensor: label, reason: reason)
    }

    /// Calls `hook` with the gradient of this tensor each time it is computed; a returned tensor replaces it.
    ///
    /// Source: `Tensor.register_hook`.
    @discardableResult
    public final func registerHook(_ hook: @escaping (Tensor) throws -> Tensor?) throws -> HookHandle {
        guard flag else { throw AutogradError.noGradientToObserve(request: "registerHook", tensor: label) }
        if let gradFn { return gradFn.addHook(hook, at: outputIndex) }
        let extras = ensureExtras()
        let id = extras.nextHook
        extras.nextHook += 1
        extras.hooks.append((id, hook))
        return HookHandle { [weak extras] in extras?.hooks.removeAll { $0.id == id } }
    }

    // MARK: Internal

    final func ensureExtras() -> Extras {
        if let extras { return extras }
        let made = Extras()
        extras = made
        return made
    }

    /// How messages call this tensor.
    final var label: String {
        if let name { return "tensor '\(name)' of shape \(shape)" }
        return "a tensor of shape \(shape)"
    }
}

/// Removes a hook.
public final class HookHandle {
    private let onRemove: () -> Void
    init(_ onRemove: @escaping () -> Void) { self.onRemove = onRemove }
    /// The hook is not called any more.
    public func remove() { onRemove() }
}
