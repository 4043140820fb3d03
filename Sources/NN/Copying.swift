import Autograd
import TensorCore

extension Module {
    /// Another module of the same structure with the same values, flags and mode, that shares nothing with this one.
    ///
    /// A module of your own overrides `emptyCopy`. Throws `ModuleError.noCopy` where one inside does not.
    /// Source: `copy.deepcopy`.
    public final func copy() throws -> Self {
        guard let result = try emptyCopy() as? Self else { throw ModuleError.noCopy(module: typeName) }
        let pairs = (namedModules(), result.namedModules())
        guard pairs.0.map(\.path) == pairs.1.map(\.path) else { throw ModuleError.noCopy(module: typeName) }
        for ((_, module), (_, twin)) in zip(pairs.0, pairs.1) {
            twin.setMode(module.isTraining)
            if let norm = module as? BatchNorm, let other = twin as? BatchNorm {
                other.frozenStatistics = norm.frozenStatistics
            }
            if let dropout = module as? Dropout, let other = twin as? Dropout { other.random = dropout.random }
        }
        let own: [Tensor] = parameters() + buffers()
        let others: [Tensor] = result.parameters() + result.buffers()
        guard own.map(\.shape) == others.map(\.shape), own.map(\.dtype) == others.map(\.dtype) else {
            throw ModuleError.noCopy(module: typeName)
        }
        try noGrad {
            for (tensor, twin) in zip(own, others) {
                try twin.mutate { $0 = tensor.array }
                try twin.requiresGrad_(tensor.requiresGrad)
                twin.name = tensor.name
                if let parameter = tensor as? Parameter, let other = twin as? Parameter {
                    other.aliases = parameter.aliases
                }
            }
        }
        return result
    }
}

extension Parameter {
    /// A parameter of this one's shape and type, for `emptyCopy`.
    func twin() -> Parameter { Parameter(array, requiresGrad: requiresGrad) }
}
