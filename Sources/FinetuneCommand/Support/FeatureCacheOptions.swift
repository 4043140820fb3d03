import ArgumentParser
import FineTune

/// Where values of frozen layers are kept from one run to the next.
struct FeatureCacheOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Keep what frozen layers make of each picture for later runs: auto ($XDG_CACHE_HOME or ~/.cache, finetune/), "
                + "off, or a folder. Used for validation, and for training with --augment none.", valueName: "place"))
    var featureCache = "auto"

    @Option(help: ArgumentHelp("Room for it; what was not used for longest goes first.", valueName: "megabytes"))
    var featureCacheLimit = FeatureCache.standardLimit >> 20

    func apply(to settings: inout RunSettings) {
        settings.featureCache = featureCache
        settings.featureCacheLimit = featureCacheLimit
    }
}
