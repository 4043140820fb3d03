import TensorCore

/// What modules refuse to do.
public enum ModuleError: Error, Equatable {
    /// A module without a `forward` of its own was called.
    case noForward(module: String)
    /// A state that is not this module's.
    case stateMismatch(missing: [String], unexpected: [String], different: [String])
    /// A layer made with sizes that fit nothing.
    case invalidArgument(module: String, argument: String, reason: String)
    /// `forward` used a parameter or a module that no `members` lists.
    case forgottenMember(module: String, member: String)
    /// `copy()` of a module that does not say how to make another one, or makes one of another structure.
    case noCopy(module: String)
}

extension ModuleError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .noForward(let module):
            return
                "\(module) has no forward of its own: override func forward(_ x: Tensor) throws -> Tensor, or call the "
                + "modules inside it"
        case .stateMismatch(let missing, let unexpected, let different):
            var lines = ["the state does not fit the module; nothing was loaded"]
            if !missing.isEmpty { lines.append("missing from the state: " + missing.joined(separator: ", ")) }
            if !unexpected.isEmpty { lines.append("not in the module: " + unexpected.joined(separator: ", ")) }
            lines += different
            if different.isEmpty { lines.append("load(stateDict:strict: false) takes the names that both have") }
            return lines.joined(separator: "\n  ")
        case .invalidArgument(let module, let argument, let reason):
            return "\(module): \(argument) \(reason)"
        case .forgottenMember(let module, let member):
            return
                "\(module) uses \(member), that its members do not list, so that it would be neither trained nor saved, "
                + "and train() and eval() would not reach it: add it to members of \(module) or of the module inside it "
                + "that stores it (what belongs to another model is called with forward(x), which is not checked)"
        case .noCopy(let module):
            return
                "\(module) cannot be copied: override func emptyCopy() throws -> Module to return another one of the "
                + "same structure, such as \(module)(...)"
        }
    }
}
