import Autograd
import TensorCore

/// The values of a module's parameters and buffers by path, in order.
///
/// Values are arrays, not tensors: training on does not change a state that was taken before, and a state may be sent to
/// another task.
public struct StateDict: Sendable {
    private var entries: [(name: String, value: NDArray)] = []
    private var positions: [String: Int] = [:]

    public init() {}

    /// Names in order.
    public var names: [String] { entries.map(\.name) }

    /// The value under `name`; setting one that is new appends it, setting nil removes it.
    public subscript(name: String) -> NDArray? {
        get { positions[name].map { entries[$0].value } }
        set {
            switch (positions[name], newValue) {
            case (let position?, let value?): entries[position].value = value
            case (nil, let value?):
                positions[name] = entries.count
                entries.append((name, value))
            case (let position?, nil):
                entries.remove(at: position)
                positions = Dictionary(uniqueKeysWithValues: entries.enumerated().map { ($1.name, $0) })
            case (nil, nil): break
            }
        }
    }
}

extension StateDict: RandomAccessCollection {
    public var startIndex: Int { entries.startIndex }
    public var endIndex: Int { entries.endIndex }
    public subscript(position: Int) -> (name: String, value: NDArray) { entries[position] }
}

extension StateDict: ExpressibleByDictionaryLiteral {
    public init(dictionaryLiteral elements: (String, NDArray)...) {
        for (name, value) in elements { self[name] = value }
    }
}

extension Module {
    /// Names that `load(stateDict:strict:)` found on one side only.
    public struct LoadReport: Sendable, Equatable {
        /// In the module, not in the state.
        public var missing: [String]
        /// In the state, not in the module.
        public var unexpected: [String]

        public init(missing: [String] = [], unexpected: [String] = []) {
            self.missing = missing
            self.unexpected = unexpected
        }
    }

    /// A copy of every parameter and buffer under its path, a module's own before its children's, parameters before buffers.
    ///
    /// A parameter that two modules share appears under both paths. Source: `Module.state_dict`.
    public final func stateDict() -> StateDict {
        var state = StateDict()
        for (name, tensor) in namedState() { state[name] = tensor.array }
        return state
    }

    /// Replaces the values of parameters and buffers by those of `stateDict`; flags and gradients stay.
    ///
    /// Nothing is changed unless everything fits. Throws `ModuleError.stateMismatch` listing every missing and unexpected
    /// name (only when `strict`) and every value of another shape or element type. Source: `Module.load_state_dict`.
    @discardableResult
    public final func load(stateDict: StateDict, strict: Bool = true) throws -> LoadReport {
        let own = namedState()
        let names = Set(own.map(\.name))
        let report = LoadReport(
            missing: own.map(\.name).filter { stateDict[$0] == nil },
            unexpected: stateDict.names.filter { !names.contains($0) })
        let different = own.compactMap { name, tensor -> String? in
            guard let value = stateDict[name], value.shape != tensor.shape || value.dtype != tensor.dtype else {
                return nil
            }
            return "\(name): expected \(tensor.shape) of \(tensor.dtype), got \(value.shape) of \(value.dtype)"
        }
        guard different.isEmpty, !strict || (report.missing.isEmpty && report.unexpected.isEmpty) else {
            throw ModuleError.stateMismatch(
                missing: strict ? report.missing : [], unexpected: strict ? report.unexpected : [], different: different
            )
        }
        try noGrad {
            for (name, tensor) in own {
                if let value = stateDict[name] { try tensor.mutate { $0 = value } }
            }
        }
        return report
    }

    /// Runs `body` with the values of `state` in place; those that were there before come back, whether it throws or not.
    public final func withState<R>(_ state: StateDict, _ body: () throws -> R) throws -> R {
        let present = stateDict()
        try load(stateDict: state)
        let result = Result { try body() }
        try load(stateDict: present)
        return try result.get()
    }

    private func namedState() -> [(name: String, tensor: Tensor)] {
        namedModules(uniquely: false).flatMap { path, module -> [(name: String, tensor: Tensor)] in
            let members = module.members
            return members.parameters.map { (joined(path, $0.name), $0.value) }
                + members.buffers.filter(\.value.isPersistent).map { (joined(path, $0.name), $0.value) }
        }
    }
}
