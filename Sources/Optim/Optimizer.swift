import Autograd
import NN
import TensorCore

/// Changes parameters along their gradients: what `SGD`, `Adam` and `AdamW` have in common.
///
/// Neither momentum nor weight decay ever moves a frozen parameter. One that was given frozen and is unfrozen later is taken
/// up by the next `step()`; one that was never given is added with `add(unfrozen:)`. A parameter frozen later keeps its value
/// and its state from then on. An optimizer of your own overrides `update`. Source: `torch.optim.Optimizer`.
open class Optimizer {
    /// What an optimizer remembers of one parameter.
    public struct ParameterState: Sendable {
        /// Steps that this parameter took part in.
        public internal(set) var step = 0
        /// One array per name in `momentNames`, of the parameter's shape; nil until `update` makes it.
        public var moments: [NDArray?]
    }

    /// Names of the arrays kept per parameter, as PyTorch's states have them: `exp_avg`.
    public let momentNames: [String]
    public private(set) var groups: [Group] = []
    /// Steps go up the gradient instead of down.
    public let maximize: Bool
    private let defaults: Settings
    private var states: [ObjectIdentifier: ParameterState] = [:]

    /// - `maximize`: `update` is given gradients with their signs changed.
    /// - Throws: `OptimizerError` for no parameters, only frozen ones, one given twice, or a negative setting.
    public init(
        _ groups: [ParameterGroup], defaults: Settings, momentNames: [String], maximize: Bool = false
    ) throws {
        self.maximize = maximize
        self.defaults = defaults
        self.momentNames = momentNames
        let given = groups.flatMap(\.parameters)
        guard !given.isEmpty else { throw OptimizerError.noParameters(optimizer: typeName) }
        guard given.contains(where: \.requiresGrad) else {
            throw OptimizerError.allFrozen(optimizer: typeName, count: given.count)
        }
        for group in groups { try insert(group) }
    }

    /// Adds a group, for layers unfrozen in the course of training. Frozen parameters in it wait until they are unfrozen.
    ///
    /// - Throws: as `init`; parameters that the optimizer has already are named. Source: `Optimizer.add_param_group`.
    public final func add(_ group: ParameterGroup) throws {
        guard !group.parameters.isEmpty else { throw OptimizerError.noParameters(optimizer: typeName) }
        guard group.parameters.contains(where: \.requiresGrad) else {
            throw OptimizerError.allFrozen(optimizer: typeName, count: group.parameters.count)
        }
        try insert(group)
    }

    /// Adds those parameters of `group` that are unfrozen and not the optimizer's yet: all of a model's parameters may be
    /// given after some were unfrozen.
    ///
    /// - Returns: how many were added; no group is made for none.
    /// - Throws: as `init` for settings that do not fit.
    @discardableResult
    public final func add(unfrozen group: ParameterGroup) throws -> Int {
        try takeUpUnfrozen()
        var group = group
        var seen = Set(states.keys)
        group.parameters = group.parameters.filter {
            $0.requiresGrad && seen.insert(ObjectIdentifier($0)).inserted
        }
        if !group.parameters.isEmpty { try insert(group) }
        return group.parameters.count
    }

    private func requireSteppable(_ parameter: Parameter) throws {
        guard parameter.dtype == .float32 || parameter.dtype == .float64 else {
            throw OptimizerError.unsupportedType(parameter: label(parameter), dtype: parameter.dtype)
        }
    }

    /// Parameters that were frozen when their group was made and are not any more join it.
    private func takeUpUnfrozen() throws {
        for group in groups where group.frozen.contains(where: \.requiresGrad) {
            for parameter in group.frozen where parameter.requiresGrad {
                try requireSteppable(parameter)
                group.parameters.append(parameter)
                states[ObjectIdentifier(parameter)] = blankState
            }
            group.frozen.removeAll(where: \.requiresGrad)
        }
    }

    private func insert(_ group: ParameterGroup) throws {
        let trainable = group.parameters.filter(\.requiresGrad)
        let made = Group(group, trainable: trainable, defaults: defaults)
        try require(made.learningRate >= 0, "learningRate", made.learningRate, "a number from 0")
        try require(made.weightDecay >= 0, "weightDecay", made.weightDecay, "a number from 0")
        var seen = Set(states.keys).union(groups.flatMap(\.frozen).map { ObjectIdentifier($0) })
        let again = group.parameters.filter { !seen.insert(ObjectIdentifier($0)).inserted }
        guard again.isEmpty else {
            throw OptimizerError.duplicateParameter(parameter: again.map(label).joined(separator: ", "))
        }
        for parameter in trainable { try requireSteppable(parameter) }
        for parameter in trainable { states[ObjectIdentifier(parameter)] = blankState }
        groups.append(made)
    }

    /// Changes one parameter in place. `state.moments` may be changed, `state.step` is 1 in the first call.
    ///
    /// Not called for frozen parameters nor for those without a gradient.
    open func update(
        _ parameter: inout NDArray, gradient: NDArray, state: inout ParameterState, group: Group
    ) throws {
        mistake("\(typeName) must override update")
    }

    /// One step: every trainable parameter that has a gradient moves.
    ///
    /// - Throws: `OptimizerError.noGradients` when none has one. Source: `Optimizer.step`.
    public final func step() throws {
        var moved = 0
        try takeUpUnfrozen()
        try noGrad {
            for group in groups {
                for parameter in group.parameters where parameter.requiresGrad {
                    guard let gradient = parameter.grad?.array else { continue }
                    try move(parameter, gradient, group)
                    moved += 1
                }
            }
        }
        if moved == 0 { throw OptimizerError.noGradients(optimizer: typeName) }
    }

    private func move(_ parameter: Parameter, _ gradient: NDArray, _ group: Group) throws {
        guard gradient.shape == parameter.shape, gradient.dtype == parameter.dtype else {
            throw OptimizerError.gradientMismatch(
                parameter: label(parameter), expected: "\(parameter.shape) of \(parameter.dtype)",
                actual: "\(gradient.shape) of \(gradient.dtype)")
        }
        // The state leaves the dictionary while it changes: its arrays must have one owner to be written in place.
        let key = ObjectIdentifier(parameter)
        var state = states.updateValue(blankState, forKey: key) ?? blankState
        defer { states[key] = state }
        state.step += 1
        let downhill = maximize ? try gradient.map(.neg) : gradient
        try parameter.mutate { try update(&$0, gradient: downhill, state: &state, group: group) }
    }

    /// Forgets the gradients of the optimizer's parameters. Source: `Optimizer.zero_grad`.
    public final func zeroGrad() {
        for group in groups {
            for parameter in group.parameters { parameter.grad = nil }
            for parameter in group.frozen { parameter.grad = nil }
        }
    }

    /// The learning rate of the first group; setting it sets every group's.
    public final var learningRate: Double {
        get { groups[0].learningRate }
        set { for group in groups { group.learningRate = newValue } }
    }

    // MARK: For subclasses

    /// The type's name, for messages.
    public final var typeName: String { String(describing: type(of: self)) }

    /// Throws `OptimizerError.invalidSetting` unless `condition`.
    public final func require(_ condition: Bool, _ setting: String, _ value: Double, _ expected: String) throws {
        guard condition else {
            throw OptimizerError.invalidSetting(
                optimizer: typeName, setting: setting, value: value, expected: expected)
        }
    }

    // MARK: State

    /// Everything that continuing needs beside the parameters: `step` and moments per parameter, settings per group.
    ///
    /// A parameter is known by its name where every parameter has a name of its own, otherwise by its number in the groups.
    /// Keys are `state/NAME/exp_avg` and `state/NAME/step`, `group/0/learning_rate`. Setting a state that belongs to other
    /// parameters throws through `load`.
    public final func stateDict() -> OptimizerState {
        var result = OptimizerState()
        for (name, parameter) in named() {
            guard let state = states[ObjectIdentifier(parameter)] else { continue }
            result.scalars["state/\(name)/step"] = Double(state.step)
            for (moment, value) in zip(momentNames, state.moments) { result.arrays["state/\(name)/\(moment)"] = value }
        }
        for (index, group) in groups.enumerated() {
            result.scalars["group/\(index)/learning_rate"] = group.learningRate
            result.scalars["group/\(index)/weight_decay"] = group.weightDecay
            result.scalars["group/\(index)/momentum"] = group.momentum
        }
        return result
    }

    /// Continues from a state that `stateDict()` returned. Nothing is changed unless everything fits.
    ///
    /// - Throws: `OptimizerError.stateMismatch` for other parameters, shapes, moments or groups.
    public final func load(stateDict state: OptimizerState) throws {
        try takeUpUnfrozen()
        func mismatch(_ reason: String) -> OptimizerError { .stateMismatch(optimizer: typeName, reason: reason) }
        func scalar(_ key: String) throws -> Double {
            guard let value = state.scalars[key] else { throw mismatch("it lacks '\(key)'") }
            return value
        }
        var restored: [ObjectIdentifier: ParameterState] = [:]
        var arrays = 0
        for (name, parameter) in named() {
            var own = blankState
            let step = try scalar("state/\(name)/step")
            guard let step = Int(exactly: step), step >= 0 else {
                throw mismatch("'state/\(name)/step' is \(step), expected a number of steps")
            }
            own.step = step
            for (index, moment) in momentNames.enumerated() {
                let key = "state/\(name)/\(moment)"
                guard let value = state.arrays[key] else { continue }
                guard value.shape == parameter.shape, value.dtype == parameter.dtype else {
                    throw mismatch(
                        "'\(key)' is \(value.shape) of \(value.dtype), expected \(parameter.shape) of \(parameter.dtype)"
                    )
                }
                own.moments[index] = value
                arrays += 1
            }
            restored[ObjectIdentifier(parameter)] = own
        }
        let settings = try groups.indices.map { index in
            try ["learning_rate", "weight_decay", "momentum"].map { try scalar("group/\(index)/\($0)") }
        }
        if state.scalars.count != restored.count + 3 * groups.count || state.arrays.count != arrays {
            throw mismatch("it has parameters, groups or moments that the optimizer does not have")
        }
        for (group, values) in zip(groups, settings) {
            (group.learningRate, group.weightDecay, group.momentum) = (values[0], values[1], values[2])
        }
        states = restored
    }

    private var blankState: ParameterState {
        ParameterState(moments: [NDArray?](repeating: nil, count: momentNames.count))
    }

    private func named() -> [(name: String, parameter: Parameter)] {
        let parameters = groups.flatMap(\.parameters)
        let names = parameters.compactMap(\.name)
        let unique = Set(names).count == parameters.count
        return parameters.enumerated().map { (unique ? $1.name ?? "\($0)" : "\($0)", $1) }
    }

    private func label(_ parameter: Parameter) -> String {
        parameter.name.map { "parameter '\($0)'" } ?? "a parameter of shape \(parameter.shape)"
    }
}

/// The memory of an optimizer, ready to be stored.
public struct OptimizerState: Sendable {
    public var arrays: [String: NDArray] = [:]
    public var scalars: [String: Double] = [:]

    public init(arrays: [String: NDArray] = [:], scalars: [String: Double] = [:]) {
        self.arrays = arrays
        self.scalars = scalars
    }
}
