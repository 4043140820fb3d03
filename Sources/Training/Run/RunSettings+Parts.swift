import NN
import Optim
import Vision

extension RunSettings {
    /// A store with the cache that the settings name.
    public func makeFeatureStore() -> FeatureStore {
        let folder =
            switch featureCache {
            case "auto": FeatureCache.standardFolder()
            case "off": String?.none
            default: featureCache
            }
        return FeatureStore(cache: folder.map { FeatureCache(folder: $0, byteLimit: featureCacheLimit << 20) })
    }

    /// The optimizer over `parameters`, which must have trainable ones.
    public func makeOptimizer(_ parameters: [Parameter]) throws -> Optimizer {
        try makeOptimizer([ParameterGroup(parameters)])
    }

    /// The optimizer over `groups`, which must have trainable parameters.
    public func makeOptimizer(_ groups: [ParameterGroup]) throws -> Optimizer {
        switch optimizer {
        case "sgd":
            try SGD(groups, learningRate: learningRate, momentum: momentum, weightDecay: weightDecay)
        case "adam": try Adam(groups, learningRate: learningRate, weightDecay: weightDecay)
        case "adamw": try AdamW(groups, learningRate: learningRate, weightDecay: weightDecay)
        default: throw unknownOptimizer
        }
    }

    var unknownOptimizer: SettingError {
        SettingError(
            "--optimizer",
            "'\(optimizer)' is not one of \(RunSettings.optimizers.joined(separator: ", "))"
                + suggestion(for: optimizer, among: RunSettings.optimizers))
    }

    static let optimizers = ["sgd", "adam", "adamw"]

    func trainerOptions(_ data: PictureDataset) -> Trainer.Options {
        var options = Trainer.Options()
        options.epochs = epochs
        options.seed = seed
        options.patience = patience
        options.clipNorm = clipNorm
        options.labelSmoothing = labelSmoothing
        if classWeights == "balanced" { options.classWeights = data.balancedWeights() }
        return options
    }

    func loading(shuffle: Bool) -> BatchLoader.Configuration {
        BatchLoader.Configuration(
            batchSize: batchSize, shuffle: shuffle, seed: seed, badPictures: skipBadPictures ? .skip : .fail)
    }
}

extension PictureDataset {
    /// Weights inverse to how often each class occurs, with mean 1 over the pictures.
    func balancedWeights() -> [Double] {
        classCounts.map { $0 == 0 ? 0 : Double(count) / (Double(classes.count) * Double($0)) }
    }
}
