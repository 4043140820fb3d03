import TensorCore

/// What optimizers and schedules refuse to do.
public enum OptimizerError: Error, Equatable {
    /// No parameter was given.
    case noParameters(optimizer: String)
    /// Parameters were given and all of them are frozen.
    case allFrozen(optimizer: String, count: Int)
    /// One parameter in two groups, or twice in one.
    case duplicateParameter(parameter: String)
    /// A setting out of its range.
    case invalidSetting(optimizer: String, setting: String, value: Double, expected: String)
    /// `step()` found no gradient on any parameter.
    case noGradients(optimizer: String)
    /// A gradient that does not have its parameter's shape and element type.
    case gradientMismatch(parameter: String, expected: String, actual: String)
    /// A parameter of a type that no step computes in.
    case unsupportedType(parameter: String, dtype: DType)
    /// A stored state that is not this optimizer's.
    case stateMismatch(optimizer: String, reason: String)
    /// A schedule was stepped past its end.
    case scheduleEnded(schedule: String, length: Int)
}

extension OptimizerError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .noParameters(let optimizer):
            return "\(optimizer) was given no parameters: pass model.parameters()"
        case .allFrozen(let optimizer, let count):
            return "\(optimizer): all \(count) parameters are frozen, so training would change nothing: call "
                + "unfreeze(matching:) before making the optimizer"
        case .duplicateParameter(let parameter):
            return
                "given to the optimizer twice: \(parameter): a parameter belongs to one group; add(unfrozen:) passes over "
                + "those that are there"
        case .invalidSetting(let optimizer, let setting, let value, let expected):
            return "\(optimizer): \(setting) is \(value), expected \(expected)"
        case .noGradients(let optimizer):
            return
                "\(optimizer): no parameter has a gradient, so the step would change nothing: call backward() before "
                + "step(), and keep the parameters unfrozen"
        case .gradientMismatch(let parameter, let expected, let actual):
            return "\(parameter): expected a gradient of \(expected), got \(actual)"
        case .unsupportedType(let parameter, let dtype):
            return "\(parameter) is \(dtype); optimizers step float32 and float64 parameters"
        case .stateMismatch(let optimizer, let reason):
            return "the stored state is not this \(optimizer)'s: \(reason)"
        case .scheduleEnded(let schedule, let length):
            return "\(schedule) has \(length) steps and all of them are done: make it longer"
        }
    }
}
