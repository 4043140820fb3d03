import Autograd
import TensorCore

/// A part of a network: parameters, buffers and other modules under names, and a function of a tensor.
///
/// A module of your own lists what it is made of and says what it computes:
/// ```swift
/// final class Net: Module {
///     let fc1 = Linear(4, 8)
///     let fc2 = Linear(8, 2)
///     override var members: Members { ["fc1": fc1, "fc2": fc2] }
///     override func forward(_ x: Tensor) throws -> Tensor { try fc2(fc1(x).relu()) }
/// }
/// ```
/// Freezing is `requiresGrad` of the parameters, and nothing else; `train()` and `eval()` never touch it.
///
/// Not `Sendable`: a module belongs to one task at a time. Source: `torch.nn.Module`.
open class Module: ModuleMember {
    /// True from the start and after `train()`, false after `eval()`: what Dropout and BatchNorm2d ask.
    public private(set) final var isTraining = true

    public init() {}

    /// The parameters, buffers and modules that this one is made of, under their names.
    open var members: Members { [:] }

    /// What the module computes. Throws `ShapeError` for an input that does not fit.
    open func forward(_ x: Tensor) throws -> Tensor {
        throw ModuleError.noForward(module: typeName)
    }

    /// `forward(x)`.
    ///
    /// The first call also checks that `members` lists what `forward` uses. Throws `ModuleError.forgottenMember`.
    public final func callAsFunction(_ x: Tensor) throws -> Tensor {
        if let use = MemberUse.current {
            use.note(self)
            return try forward(x)
        }
        return memberCheck == .complete ? try forward(x) : try forwardChecking(x)
    }

    /// How much of what `forward` uses was compared with `members`.
    final var memberCheck = MemberUse.Progress.none

    /// A module of this one's structure, for `copy()`; its values and flags do not matter.
    ///
    /// A module of your own makes one: `override func emptyCopy() throws -> Module { Net() }`.
    open func emptyCopy() throws -> Module { throw ModuleError.noCopy(module: typeName) }

    /// What stands between the brackets when the module is printed: `in_features=4, out_features=8, bias=True`.
    open var extraDescription: String { "" }

    /// What `head` and `last:N` count, and which addresses patterns are matched against.
    ///
    /// Layers are the modules with parameters of their own, in the order in which they are listed; a module that knows the
    /// order in which they run gives that one instead.
    open var parameterIndex: ParameterIndex {
        var index = ParameterIndex()
        var positions: [ObjectIdentifier: Int] = [:]
        for (name, parameter) in namedParameters() {
            positions[ObjectIdentifier(parameter)] = index.entries.count
            index.entries.append(.init([name] + parameter.aliases, count: parameter.count))
        }
        for (path, module) in namedModules() {
            let own = module.members.parameters.compactMap { positions[ObjectIdentifier($0.value)] }
            if !own.isEmpty { index.layers.append(.init(path: path, parameters: own)) }
        }
        return index
    }

    /// The type's name, as the printed form shows it.
    open var typeName: String { String(describing: type(of: self)) }
}

/// The members of a module in order, written as a dictionary literal; nil values are left out.
public struct Members: ExpressibleByDictionaryLiteral {
    /// All members in the order given.
    public private(set) var all: [(name: String, value: any ModuleMember)]

    public init(dictionaryLiteral elements: (String, (any ModuleMember)?)...) { self.init(elements) }

    /// Members made at run time.
    public init(_ elements: [(String, (any ModuleMember)?)]) {
        all = elements.compactMap { name, value in value.map { (name, $0) } }
    }

    public var parameters: [(name: String, value: Parameter)] { pick() }
    public var buffers: [(name: String, value: Buffer)] { pick() }
    public var children: [(name: String, value: Module)] { pick() }

    private func pick<Kind>() -> [(name: String, value: Kind)] {
        all.compactMap { name, value in (value as? Kind).map { (name, $0) } }
    }
}

// MARK: - Traversal

extension Module {
    /// This module under `""` and every module inside it under its dotted path, parents before children, each once.
    ///
    /// Source: `Module.named_modules`.
    public final func namedModules() -> [(path: String, module: Module)] { namedModules(uniquely: true) }

    /// With `uniquely` false a module that appears under several paths is listed under each.
    final func namedModules(uniquely: Bool) -> [(path: String, module: Module)] {
        var result: [(path: String, module: Module)] = []
        var seen: Set<ObjectIdentifier> = []
        func visit(_ module: Module, _ path: String) {
            guard seen.insert(ObjectIdentifier(module)).inserted || !uniquely else { return }
            result.append((path, module))
            for (name, child) in module.members.children { visit(child, joined(path, name)) }
        }
        visit(self, "")
        return result
    }

    /// This module and every module inside it. Source: `Module.modules`.
    public final func modules() -> [Module] { namedModules().map(\.module) }

    /// Every parameter under its dotted path, each once, a module's own before its children's.
    ///
    /// Source: `Module.named_parameters`.
    public final func namedParameters() -> [(name: String, parameter: Parameter)] {
        unique { $0.parameters }.map { (name: $0.name, parameter: $0.value) }
    }

    /// Every parameter, frozen ones included. Source: `Module.parameters`.
    public final func parameters() -> [Parameter] { namedParameters().map(\.parameter) }

    /// Every buffer under its dotted path, each once. Source: `Module.named_buffers`.
    public final func namedBuffers() -> [(name: String, buffer: Buffer)] {
        unique { $0.buffers }.map { (name: $0.name, buffer: $0.value) }
    }

    /// Every buffer. Source: `Module.buffers`.
    public final func buffers() -> [Buffer] { namedBuffers().map(\.buffer) }

    /// The module at a dotted path: `model["layer4.1.conv2"]`. Source: `Module.get_submodule`.
    public final subscript(path: String) -> Module? { namedModules().first { $0.path == path }?.module }

    /// The parameter at a dotted path or alias. Source: `Module.get_parameter`.
    public final func parameter(_ name: String) -> Parameter? {
        let named = namedParameters()
        return (named.first { $0.name == name } ?? named.first { $0.parameter.aliases.contains(name) })?.parameter
    }

    private func unique<Kind: AnyObject>(
        _ own: (Members) -> [(name: String, value: Kind)]
    ) -> [(name: String, value: Kind)] {
        var seen: Set<ObjectIdentifier> = []
        return namedModules().flatMap { path, module in
            own(module.members).compactMap { name, value in
                seen.insert(ObjectIdentifier(value)).inserted ? (joined(path, name), value) : nil
            }
        }
    }
}

/// A dotted path; an empty part adds nothing.
func joined(_ path: String, _ name: String) -> String {
    path.isEmpty ? name : name.isEmpty ? path : "\(path).\(name)"
}

// MARK: - Mode and gradients

extension Module {
    /// Puts this module and every module inside it into training mode: Dropout drops, BatchNorm2d uses the batch's statistics
    /// and updates its own. Never touches `requiresGrad`. Source: `Module.train`.
    @discardableResult
    public final func train(_ isTraining: Bool = true) -> Self {
        for module in modules() { module.isTraining = isTraining }
        return self
    }

    /// The mode of this module alone.
    final func setMode(_ isTraining: Bool) { self.isTraining = isTraining }

    /// `train(false)`. Source: `Module.eval`.
    @discardableResult
    public final func eval() -> Self { train(false) }

    /// Forgets the gradients of every parameter. Source: `Module.zero_grad`.
    public final func zeroGrad() {
        for parameter in parameters() { parameter.grad = nil }
    }
}

// MARK: - Printing

extension Module: CustomStringConvertible {
    /// The tree of modules, in PyTorch's form.
    public final var description: String {
        let children = members.children
        guard !children.isEmpty else { return "\(typeName)(\(extraDescription))" }
        var lines = extraDescription.isEmpty ? [] : [extraDescription]
        for (name, child) in children { lines.append("(\(name)): \(child)") }
        // A child's own lines move along with it.
        let body = lines.flatMap { $0.split(separator: "\n", omittingEmptySubsequences: false) }.map { "  \($0)\n" }
        return "\(typeName)(\n\(body.joined()))"
    }
}
