import Synchronization
import TensorCore

extension Tensor {
    /// Computes the gradients of this scalar by every leaf that requires them and adds them to each leaf's `grad`.
    ///
    /// - Parameters:
    ///   - gradient: ∂L/∂self when this is not the loss itself; required unless the tensor has one element.
    ///   - retainGraph: keep the saved values for another pass. Defaults to `createGraph`.
    ///   - createGraph: record the backward pass itself, for higher derivatives.
    ///
    /// Source: `Tensor.backward`.
    public final func backward(
        gradient: Tensor? = nil, retainGraph: Bool? = nil, createGraph: Bool = false
    ) throws {
        let seed = try seedGradient(for: self, gradient: gradient)
        var pass = BackwardPass(retainGraph: retainGraph ?? createGraph, createGraph: createGraph, targets: nil)
        try setGradEnabled(createGraph) { try pass.run(from: [(self, seed)]) }
        try pass.commit()
    }
}

/// Gradients of `outputs` by `inputs`, without touching any `grad`.
///
/// - `gradOutputs`: one per output; nil stands for 1 and needs a one-element output.
/// - `createGraph`: make the result differentiable; one that is constant has derivatives of zero by `inputs`.
/// - `allowUnused`: nil for an input that the outputs do not depend on, instead of an error.
///
/// Source: `torch.autograd.grad`.
public func grad(
    of outputs: [Tensor], wrt inputs: [Tensor], gradOutputs: [Tensor?]? = nil, retainGraph: Bool? = nil,
    createGraph: Bool = false, allowUnused: Bool = false
) throws -> [Tensor?] {
    let seeds = try outputs.enumerated().map { index, output in
        (output, try seedGradient(for: output, gradient: gradOutputs?[index]))
    }
    for input in inputs where !input.requiresGrad {
        throw AutogradError.doesNotRequireGrad(tensor: input.label)
    }
    var pass = BackwardPass(retainGraph: retainGraph ?? createGraph, createGraph: createGraph, targets: inputs)
    try setGradEnabled(createGraph) { try pass.run(from: seeds) }
    return try inputs.map { input in
        let gradient = pass.captured[ObjectIdentifier(input)]
        if gradient == nil && !allowUnused { throw AutogradError.notUsed(tensor: input.label) }
        guard createGraph, let gradient, !gradient.flag else { return gradient }
        return try enableGrad { try apply(ConstantGradient(), [gradient] + inputs)[0] }
    }
}

/// A gradient that does not depend on what it was taken by, with derivatives of zero by all of that: a polynomial can be
/// differentiated more often than its degree. Inputs: the gradient, then what it was taken by.
private struct ConstantGradient: DifferentiableFunction {
    let name = "ConstantGradient"
    func forward(_ inputs: [NDArray?]) throws -> [NDArray] { [inputs[0]].compactMap { $0 } }
    func saved(for needs: IndexSet64) -> SavedValues { .none }
    func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
        (0..<context.inputCount).map { index in
            guard context.needs(index) else { return nil }
            return Tensor(NDArray.zeros(context.inputShape(index), dtype: context.inputDType(index)))
        }
    }
}

/// The gradient of one output by one input.
public func grad(
    of output: Tensor, wrt input: Tensor, gradOutput: Tensor? = nil, retainGraph: Bool? = nil, createGraph: Bool = false
) throws -> Tensor {
    let result = try grad(
        of: [output], wrt: [input], gradOutputs: [gradOutput], retainGraph: retainGraph, createGraph: createGraph)
    guard let gradient = result[0] else { throw AutogradError.notUsed(tensor: input.label) }
    return gradient
}

private func seedGradient(for output: Tensor, gradient: Tensor?) throws -> Tensor {
    guard output.requiresGrad else { throw AutogradError.doesNotRequireGrad(tensor: output.label) }
    if let gradient {
        try checkGradient(gradient, shape: output.shape, dtype: output.dtype, operation: "backward(gradient:)")
        return gradient
    }
    guard output.count == 1 else { throw AutogradError.gradientNeeded(shape: output.shape) }
    return Tensor(NDArray.ones(output.shape, dtype: output.dtype))
}

private func checkGradient(
    _ gradient: Tensor, shape: [Int], dtype: DType, operation: @autoclosure () -> String
) throws {
    guard gradient.shape == shape, gradient.dtype == dtype else {
        throw AutogradError.gradientMismatch(
            operation: operation(), expected: "shape \(shape) of \(dtype)",
            actual: "shape \(gradient.shape) of \(gradient.dtype)")
    }
}

/// One traversal, from the newest node to the oldest: a node is visited once, when all its users have been.
private struct BackwardPass {
    let retainGraph: Bool
    let createGraph: Bool
    /// The inputs of `grad(of:wrt:)`; nil collects for every leaf.
    let targets: [Tensor]?

    /// Nodes whose gradients have begun to arrive, the newest on top; the gradients wait in `Node.arrived`.
    private var frontier = NodeHeap()
    /// Tells the gradients of this pass from those of one that it runs inside of, in a hook.
    private let id = BackwardPass.counter.wrappingAdd(1, ordering: .relaxed).newValue
    private static let counter = Atomic<UInt64>(0)
    /// What the outer pass had delivered to nodes that this one reached too.
    private var interrupted: [(node: Node, gradients: [Tensor?], pass: UInt64)] = []
    /// Leaf gradients, added to `grad` only when the whole pass succeeded.
    private var leaves: [ObjectIdentifier: (leaf: Tensor, gradient: Tensor)] = [:]
    private var leafOrder: [ObjectIdentifier] = []
    /// Gradients of the targets.
    private(set) var captured: [ObjectIdentifier: Tensor] = [:]
    /// Non-leaf targets by the node that made them.
    private var targetsOfNode: [UInt64: [(index: Int, id: ObjectIdentifier)]] = [:]
    /// With targets: which inputs of a node lead to one.
    private var route: [UInt64: IndexSet64] = [:]

    init(retainGraph: Bool, createGraph: Bool, targets: [Tensor]?) {
        self.retainGraph = retainGraph
        self.createGraph = createGraph
        self.targets = targets
        for target in targets ?? [] {
            if let node = target.gradFn {
                targetsOfNode[node.sequence, default: []].append((target.outputIndex, ObjectIdentifier(target)))
            }
        }
    }

    mutating func run(from seeds: [(Tensor, Tensor)]) throws {
        // A pass that fails half way must leave no gradients behind.
        defer {
            frontier.removeAll { $0.arrived = [] }
            for (node, gradients, pass) in interrupted {
                node.arrived = gradients
                node.pass = pass
            }
        }
        if let targets { markRoutes(from: seeds.compactMap { $0.0.gradFn }, to: targets) }
        for (output, seed) in seeds {
            if let node = output.gradFn {
                try deliver(seed, to: node, index: output.outputIndex)
            } else {
                try deliver(seed, toLeaf: output)
            }
        }
        while let node = frontier.pop() {
            let gradients = node.arrived
            node.arrived = []
            try visit(node, gradients)
        }
        try applyLeafHooks()
    }

    /// Adds the collected gradients to `grad` of their leaves.
    func commit() throws {
        for id in leafOrder {
            guard let (leaf, gradient) = leaves[id] else { continue }
            guard let existing = leaf.grad else {
                leaf.grad = try copy(gradient)
                continue
            }
            if createGraph {
                leaf.grad = try enableGrad { try apply(Accumulate(), existing, gradient) }
            } else {
                try noGrad { try existing.mutate { try $0.addInPlace(gradient.array) } }
            }
        }
    }

    private mutating func visit(_ node: Node, _ arrived: [Tensor?]) throws {
        var gradients = arrived
        if let observers = node.observers {
            for (_, index, hook) in observers.hooks {
                if let gradient = gradients[index], let replaced = try hook(gradient) {
                    let output = node.outputs[index]
                    try checkGradient(replaced, shape: output.shape, dtype: output.dtype, operation: "hook of \(node)")
                    gradients[index] = replaced
                }
            }
            for (index, weak) in observers.retained {
                if let tensor = weak.tensor, let gradient = gradients[index] { try retain(gradient, on: tensor) }
            }
        }
        var wanted = node.needs
        if targets != nil {
            for (index, id) in targetsOfNode[node.sequence] ?? [] { captured[id] = gradients[index] }
            wanted.formIntersection(route[node.sequence] ?? [])
            if wanted.isEmpty { return }
        }
        try checkFlags(of: node)
        let results = try node.function.vjp(gradients, VJPContext(node: node, wanted: wanted))
        demand(
            results.count == node.inputs.count,
            "\(node.name): vjp returned \(results.count) gradients for \(node.inputs.count) inputs")
        for index in results.indices where wanted.contains(index: index) {
            guard let gradient = results[index] else { continue }
            try checkGradient(
                gradient, shape: node.inputs[index].shape, dtype: node.inputs[index].dtype, operation: node.name)
            switch node.inputs[index].edge {
            case .none, .constant: continue
            case .leaf(let leaf): try deliver(gradient, toLeaf: leaf)
            case .node(let next, let outputIndex): try deliver(gradient, to: next, index: outputIndex)
            }
        }
        if !retainGraph { node.release() }
    }

    private func retain(_ gradient: Tensor, on tensor: Tensor) throws {
        if let existing = tensor.grad {
            tensor.grad = try apply(Accumulate(), existing, gradient)
        } else {
            tensor.grad = try copy(gradient)
        }
    }

    /// The gradient with a cell of its own: the same one may go to several tensors, and accumulation is in place.
    private func copy(_ gradient: Tensor) throws -> Tensor {
        guard createGraph else { return Tensor(gradient.array) }
        return try enableGrad { try apply(Accumulate(), gradient, nil) }
    }

    /// Refuses a graph whose leaves changed their minds: PyTorch would leave `grad` nil without a word.
    private func checkFlags(of node: Node) throws {
        for index in node.inputs.indices {
            switch node.inputs[index].edge {
            case .leaf(let leaf) where !leaf.requiresGrad:
                throw AutogradError.flagChangedAfterRecording(
                    tensor: leaf.label, requiresGrad: false, operation: node.name)
            case .constant(let watch) where watch.requiresGrad && watch.isParameter && targets == nil:
                throw AutogradError.flagChangedAfterRecording(
                    tensor: watch.label, requiresGrad: true, operation: node.name)
            default: continue
            }
        }
    }

    private mutating func deliver(_ gradient: Tensor, to node: Node, index: Int) throws {
        if node.pass != id {
            if !node.arrived.isEmpty { interrupted.append((node, node.arrived, node.pass)) }
            node.arrived = []
            node.pass = id
        }
        if node.arrived.isEmpty {
            if node.outputs.count == 1 {
                node.arrived = [gradient]
            } else {
                node.arrived = [Tensor?](repeating: nil, count: node.outputs.count)
                node.arrived[index] = gradient
            }
            frontier.push(node)
        } else {
            node.arrived[index] = try sum(node.arrived[index], gradient)
        }
    }

    private mutating func deliver(_ gradient: Tensor, toLeaf leaf: Tensor) throws {
        let id = ObjectIdentifier(leaf)
        if targets != nil {
            if targets?.contains(where: { $0 === leaf }) == true { captured[id] = try sum(captured[id], gradient) }
            return
        }
        if let entry = leaves[id] {
            leaves[id] = (leaf, try sum(entry.gradient, gradient))
        } else {
            leaves[id] = (leaf, gradient)
            leafOrder.append(id)
        }
    }

    private func sum(_ a: Tensor?, _ b: Tensor) throws -> Tensor {
        guard let a else { return b }
        return try apply(Accumulate(), a, b)
    }

    private mutating func applyLeafHooks() throws {
        func hooked(_ leaf: Tensor, _ gradient: Tensor) throws -> Tensor {
            var gradient = gradient
            for (_, hook) in leaf.extras?.hooks ?? [] {
                guard let replaced = try hook(gradient) else { continue }
                try checkGradient(
                    replaced, shape: leaf.shape, dtype: leaf.dtype, operation: "hook of \(leaf.label)")
                gradient = replaced
            }
            return gradient
        }
        for id in leafOrder {
            guard let (leaf, gradient) = leaves[id] else { continue }
            leaves[id] = (leaf, try hooked(leaf, gradient))
        }
        var seen: Set<ObjectIdentifier> = []
        for target in targets ?? [] where target.isLeaf {
            let id = ObjectIdentifier(target)
            guard seen.insert(id).inserted, let gradient = captured[id] else { continue }
            captured[id] = try hooked(target, gradient)
        }
    }

    /// Finds the inputs of every reachable node that lead to a target, oldest node first.
    private mutating func markRoutes(from roots: [Node], to targets: [Tensor]) {
        let leafTargets = Set(targets.filter(\.isLeaf).map { ObjectIdentifier($0) })
        for node in reachableNodes(from: roots) {
            var toTarget: IndexSet64 = []
            for (index, input) in node.inputs.enumerated() {
                switch input.edge {
                case .none, .constant: continue
                case .leaf(let leaf):
                    if leafTargets.contains(ObjectIdentifier(leaf)) { toTarget.insert(IndexSet64(index: index)) }
                case .node(let next, _):
                    if targetsOfNode[next.sequence] != nil || route[next.sequence]?.isEmpty == false {
                        toTarget.insert(IndexSet64(index: index))
                    }
                }
            }
            route[node.sequence] = toTarget
        }
    }
}

/// Every node behind `roots`, in creation order: inputs before users.
func reachableNodes(from roots: [Node]) -> [Node] {
    var seen: Set<UInt64> = []
    var found: [Node] = []
    var stack = roots
    while let node = stack.popLast() {
        guard seen.insert(node.sequence).inserted else { continue }
        found.append(node)
        for input in node.inputs { if case .node(let next, _) = input.edge { stack.append(next) } }
    }
    return found.sorted { $0.sequence < $1.sequence }
}

/// Sum of two gradients of the same value; of one, a copy.
struct Accumulate: DifferentiableFunction {
    let name = "Add"
    func forward(_ inputs: [NDArray?]) throws -> [NDArray] {
        guard let a = inputs[0] else { return [] }
        return [try inputs[1].map { try NDArray.binary(.add, a, $0) } ?? a]
    }
    func saved(for needs: IndexSet64) -> SavedValues { .none }
    func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] { [gradOutputs[0], gradOutputs[0]] }
}

/// A binary heap of nodes, the newest on top.
private struct NodeHeap {
    private var items: [Node] = []

    mutating func push(_ item: Node) {
        items.append(item)
        var child = items.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            if items[parent].sequence >= items[child].sequence { break }
            items.swapAt(parent, child)
            child = parent
        }
    }

    mutating func pop() -> Node? {
        guard let last = items.popLast() else { return nil }
        guard let top = items.first else { return last }
        items[0] = last
        var parent = 0
        while true {
            var largest = parent
            for child in 2 * parent + 1..<2 * parent + 3
            where child < items.count && items[child].sequence > items[largest].sequence {
                largest = child
            }
            if largest == parent { return top }
            items.swapAt(parent, largest)
            parent = largest
        }
    }

    mutating func removeAll(_ body: (Node) -> Void) {
        items.forEach(body)
        items = []
    }
}
