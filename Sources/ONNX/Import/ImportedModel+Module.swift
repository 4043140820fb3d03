import Autograd
import NN

// What a module answers, asked of the model itself.
extension ImportedModel {
    /// The first output for an input, as `module(x)`.
    public func callAsFunction(_ x: Tensor) throws -> Tensor { try module(x) }

    /// Every parameter, frozen ones included; see `Module.parameters`.
    public func parameters() -> [Parameter] { module.parameters() }

    /// Every parameter under its path; see `Module.namedParameters`.
    public func namedParameters() -> [(name: String, parameter: Parameter)] { module.namedParameters() }

    /// Stops gradients of the parameters that `patterns` match; see `Module.freeze`.
    @discardableResult
    public func freeze(matching patterns: [String] = ["all"]) throws -> FreezingReport {
        try module.freeze(matching: patterns)
    }

    /// Asks for gradients of the parameters that `patterns` match; see `Module.unfreeze`.
    @discardableResult
    public func unfreeze(matching patterns: [String] = ["all"]) throws -> FreezingReport {
        try module.unfreeze(matching: patterns)
    }

    /// Training or evaluation mode; see `Module.train`.
    @discardableResult
    public func train(_ isTraining: Bool = true) -> Self {
        module.train(isTraining)
        return self
    }

    /// `train(false)`.
    @discardableResult
    public func eval() -> Self { train(false) }

    /// Forgets the gradients of every parameter; see `Module.zeroGrad`.
    public func zeroGrad() { module.zeroGrad() }
}
