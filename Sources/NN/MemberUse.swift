import Autograd

/// What a module's `forward` uses, while it runs for the first time: to be compared with its `members`.
final class MemberUse: @unchecked Sendable {
    // Bound to a task-local only around `forward`, on the task that owns the module: never used by two tasks at once.
    @TaskLocal static var current: MemberUse?

    enum Progress { case none, modules, complete }

    private struct Weak { weak var module: Module? }
    private var used: [Weak] = []

    func note(_ module: Module) { used.append(Weak(module: module)) }

    /// Modules that were called and live on: what was made for one call only is nobody's member.
    var modules: [Module] { used.compactMap(\.module) }
}

extension Module {
    /// `forward(x)`; throws `ModuleError.forgottenMember` when it used a parameter or a module that no `members` lists.
    final func forwardChecking(_ x: Tensor) throws -> Tensor {
        let use = MemberUse()
        let start = Node.newestSequence
        let y = try MemberUse.$current.withValue(use) { try forward(x) }
        if memberCheck == .none {
            let known = Set(modules().map { ObjectIdentifier($0) })
            if let forgotten = use.modules.first(where: { !known.contains(ObjectIdentifier($0)) }) {
                throw ModuleError.forgottenMember(module: typeName, member: "a module, \(forgotten.typeName)")
            }
            memberCheck = .modules
        }
        // Without a recorded graph nothing tells which parameters were used.
        guard y.gradFn != nil else { return y }
        let known = Set(parameters().map { ObjectIdentifier($0) })
        for case let leaf as Parameter in recordedLeaves(behind: y, after: start)
        where leaf !== x && !known.contains(ObjectIdentifier(leaf)) {
            let name = leaf.name.map { "'\($0)'" } ?? "of shape \(leaf.shape)"
            throw ModuleError.forgottenMember(module: typeName, member: "a parameter \(name)")
        }
        memberCheck = .complete
        return y
    }
}
