import Synchronization
import TensorCore

/// Sees whether a leaf that was recorded as a constant has been asked to require gradients since.
final class LeafWatch {
    var requiresGrad = false
    let label: String
    /// A parameter that was frozen when it was recorded and is not any more misses the gradient that its owner waits for. A
    /// plain tensor does not: an input becomes a leaf of the next graph, as in adversarial training.
    let isParameter: Bool
    init(label: String, isParameter: Bool) {
        self.label = label
        self.isParameter = isParameter
    }
}

/// One recorded operation: the function, its inputs and the values that its vjp reads. No closures, so that the graph can be
/// printed, drawn and checked.
public final class Node {
    /// Where an input came from.
    enum Edge {
        /// Not recorded, and not watched: an omitted input or an integer tensor.
        case none
        /// A leaf that did not require gradients.
        case constant(LeafWatch)
        /// A leaf that requires gradients.
        case leaf(Tensor)
        /// Output `index` of another node.
        case node(Node, index: Int)
    }

    enum Saved {
        case nothing
        case tensor(Tensor, version: Int)
        /// Recomputed on demand. The version is that of the input when it was recorded.
        case checkpointed(CheckpointFrame, slot: Int, version: Int)
    }

    struct Input {
        var edge: Edge
        var isPresent: Bool
        var shape: [Int]
        var dtype: DType
        var saved: Saved
    }

    struct Output {
        var shape: [Int]
        var dtype: DType
        var saved: SavedOutput
    }

    /// An output is kept as its value only: keeping the tensor would make a cycle.
    enum SavedOutput {
        case nothing
        case value(Tensor.Cell, version: Int)
        case checkpointed(CheckpointFrame, slot: Int)
    }

    enum Residuals {
        case arrays([NDArray])
        case checkpointed(CheckpointFrame, slot: Int, count: Int)
    }

    /// Rarely used: observers of output gradients.
    final class Observers {
        var hooks: [(id: Int, index: Int, hook: (Tensor) throws -> Tensor?)] = []
        var nextHook = 0
        var retained: [(index: Int, tensor: WeakTensor)] = []
    }
    struct WeakTensor { weak var tensor: Tensor? }

    /// The recorded function.
    public let function: any DifferentiableFunction
    /// Creation order: inputs always come before their users.
    let sequence: UInt64
    @exclusivity(unchecked) var inputs: [Input]
    @exclusivity(unchecked) var outputs: [Output]
    @exclusivity(unchecked) var residuals: Residuals = .arrays([])
    /// Inputs that lead to a leaf requiring gradients.
    let needs: IndexSet64
    @exclusivity(unchecked) var observers: Observers?
    /// Gradients of the outputs that the backward pass numbered `pass` has delivered so far; empty when none has.
    @exclusivity(unchecked) var arrived: [Tensor?] = []
    @exclusivity(unchecked) var pass: UInt64 = 0
    /// Whether anything is kept for the vjp.
    private let savesValues: Bool
    private(set) var isReleased = false

    private static let counter = Atomic<UInt64>(0)
    static var lastSequence: UInt64 { counter.load(ordering: .relaxed) }

    init(
        function: any DifferentiableFunction, inputs: [Input], outputs: [Output], needs: IndexSet64, savesValues: Bool
    ) {
        self.savesValues = savesValues
        self.function = function
        self.inputs = inputs
        self.outputs = outputs
        self.needs = needs
        sequence = Node.counter.wrappingAdd(1, ordering: .relaxed).newValue
    }

    deinit {
        if inputs.isEmpty { return }
        var pending: [Node] = []
        moveReferences(into: &pending)
        Node.drain(&pending)
    }

    /// `MulBackward0`, as PyTorch prints it.
    public var name: String { function.backwardName }

    /// The nodes that this one's gradients flow to: other operations, `AccumulateGrad` for leaves, nil for constants.
    public var nextFunctions: [NextFunction?] {
        inputs.map { input in
            switch input.edge {
            case .none, .constant: nil
            case .leaf(let tensor): .accumulateGrad(tensor)
            case .node(let node, let index): .node(node, outputIndex: index)
            }
        }
    }

    // MARK: Saved values

    func savedInput(_ index: Int) throws -> Tensor {
        switch inputs[index].saved {
        case .tensor(let tensor, let version):
            return try unchanged(tensor, since: version)
        case .checkpointed(let frame, let slot, let version):
            let array = try frame.value(slot)
            switch inputs[index].edge {
            case .leaf(let leaf): return try unchanged(leaf, since: version)
            case .node(let node, let outputIndex):
                return Tensor(sharing: Tensor.Cell(array), requiresGrad: true, gradFn: node, outputIndex: outputIndex)
            case .none, .constant: return Tensor(array)
            }
        case .nothing:
            if isReleased { throw AutogradError.graphFreed(operation: name) }
            mistake("\(name): input \(index) was not declared in saved(for:)")
        }
    }

    private func unchanged(_ input: Tensor, since version: Int) throws -> Tensor {
        guard input.cell.version == version else {
            throw AutogradError.modifiedInPlace(
                operation: name, tensor: input.label, expectedVersion: version, actualVersion: input.cell.version)
        }
        return input
    }

    func savedOutput(_ index: Int) throws -> Tensor {
        switch outputs[index].saved {
        case .value(let cell, let version):
            guard cell.version == version else {
                throw AutogradError.modifiedInPlace(
                    operation: name, tensor: "its output of shape \(outputs[index].shape)", expectedVersion: version,
                    actualVersion: cell.version)
            }
            return Tensor(sharing: cell, requiresGrad: true, gradFn: self, outputIndex: index)
        case .checkpointed(let frame, let slot):
            return Tensor(
                sharing: Tensor.Cell(try frame.value(slot)), requiresGrad: true, gradFn: self, outputIndex: index)
        case .nothing:
            if isReleased { throw AutogradError.graphFreed(operation: name) }
            mistake("\(name): output \(index) was not declared in saved(for:)")
        }
    }

    func savedResidual(_ index: Int) throws -> NDArray {
        switch residuals {
        case .arrays(let arrays):
            if isReleased { throw AutogradError.graphFreed(operation: name) }
            demand(index < arrays.count, "\(name): no residual \(index)")
            return arrays[index]
        case .checkpointed(let frame, let slot, _):
            return try frame.value(slot + index)
        }
    }

    /// Drops the saved values; a later pass through a node that had any fails.
    func release() {
        guard savesValues, !isReleased else { return }
        isReleased = true
        for index in inputs.indices { inputs[index].saved = .nothing }
        for index in outputs.indices { outputs[index].saved = .nothing }
        residuals = .arrays([])
    }

    /// Bytes that the saved values keep alive, each storage cell counted as often as it is saved.
    public var savedBytes: Int {
        var bytes = 0
        for input in inputs { if case .tensor(let tensor, _) = input.saved { bytes += tensor.array.byteCount } }
        for output in outputs { if case .value(let cell, _) = output.saved { bytes += cell.array.byteCount } }
        if case .arrays(let arrays) = residuals { for array in arrays { bytes += array.byteCount } }
        return bytes
    }

    // MARK: Observers

    func addHook(_ hook: @escaping (Tensor) throws -> Tensor?, at index: Int) -> HookHandle {
        let observers = self.observers ?? Observers()
        self.observers = observers
        let id = observers.nextHook
        observers.nextHook += 1
        observers.hooks.append((id, index, hook))
        return HookHandle { [weak observers] in observers?.hooks.removeAll { $0.id == id } }
    }

    func retain(_ tensor: Tensor, at index: Int) {
        let observers = self.observers ?? Observers()
        self.observers = observers
        observers.retained.append((index, WeakTensor(tensor: tensor)))
    }

    func forgetRetained(_ tensor: Tensor) { observers?.retained.removeAll { $0.tensor.tensor === tensor } }

    // MARK: Iterative teardown

    /// Releases `node` without recursing along the chain behind it.
    static func dismantle(_ node: Node) {
        var pending = [node]
        drain(&pending)
    }

    private static func drain(_ pending: inout [Node]) {
        while var node = pending.popLast() {
            if isKnownUniquelyReferenced(&node) { node.moveReferences(into: &pending) }
        }
    }

    /// Hands the references to other nodes over to the caller, those that hide behind saved tensors included.
    private func moveReferences(into pending: inout [Node]) {
        var taken: [Input] = []
        swap(&taken, &inputs)
        outputs = []
        var tensors: [Tensor] = []
        for index in taken.indices {
            if case .node(let node, _) = taken[index].edge { pending.append(node) }
            if case .tensor(let tensor, _) = taken[index].saved, tensor.gradFn != nil { tensors.append(tensor) }
        }
        taken = []
        while var tensor = tensors.popLast() {
            if isKnownUniquelyReferenced(&tensor), let node = tensor.gradFn {
                tensor.gradFn = nil
                pending.append(node)
            }
        }
    }
}

extension Node: CustomStringConvertible {
    public var description: String { "<\(name)>" }
}

/// Where a gradient flows next.
public enum NextFunction: CustomStringConvertible {
    case node(Node, outputIndex: Int)
    case accumulateGrad(Tensor)

    public var description: String {
        switch self {
        case .node(let node, _): node.description
        case .accumulateGrad: "<AccumulateGrad>"
        }
    }
}
