import Files
import Foundation
import NN
import ONNX
import TensorCore
import Vision

/// One fine-tuning run, from settings to weights: what `finetune train` does.
public final class FineTuneRun {
    public let settings: RunSettings
    public let loaded: LoadedModel
    public let data: DatasetSplit
    public let trainer: Trainer
    /// What is trainable from the first epoch on.
    public let unfrozen: FreezingReport
    public let head: GraphModule.HeadReplacement?
    public let augmentation: Augmentation
    /// Lines a user should read before training starts: those that are known by now.
    public var notes: [String] { loadingNotes + (pictureNotes() ?? []) }
    private let loadingNotes: [String]
    /// What the training and validation pictures contain.
    private let censuses: [PictureCensus]
    private var knownPictureNotes: [String]?
    /// Where values of frozen layers are kept.
    public let features: FeatureStore
    private let streams: [FeatureStream]

    public var module: GraphModule { loaded.imported.module }

    /// Loads model and data, replaces the head where the classes ask for it, unfreezes, and prepares training.
    ///
    /// - `features`: a store that other runs of the process use, too; nil for one as the settings say.
    /// - `found`: the pictures that the settings name, where they have been found before.
    ///
    /// Throws the error of the first thing that does not fit: `ONNXError`, `GraphError`, `DatasetError`,
    /// `ParameterPatternError`, `SettingError`, `ClassMismatch`.
    public init(_ settings: RunSettings, features: FeatureStore? = nil, found: FoundPictures? = nil) throws {
        try settings.check()
        self.settings = settings
        self.features = features ?? settings.makeFeatureStore()
        Parallel.setThreadCount(settings.threads)
        loaded = try LoadedModel(path: settings.model, overrides: settings.pictures)
        data = try (found ?? FineTuneRun.findPictures(settings)).split(
            valFraction: settings.valFraction, seed: settings.seed)
        censuses = [data.train, data.val].map { [store = self.features] in store.census($0.samples.map(\.path)) }
        var notes = loaded.notes
        if let ignored = data.train.ignoredSummary { notes.append(ignored) }
        if let ignored = data.val.ignoredSummary { notes.append(ignored) }
        if let rotated = loaded.preprocessing.rotationNote(data.train, data.val) { notes.append(rotated) }

        let module = loaded.imported.module
        head = try FineTuneRun.fitHead(settings, loaded, data.classes)
        unfrozen = try FineTuneRun.unfreeze(settings, module, head)
        module.setFrozenStatistics(settings.batchNorm == .frozen)
        module.train()
        augmentation = settings.augment ?? loaded.preprocessing.augment ?? .tutorial
        let model = try CutModel(module, imageSize: loaded.imageSize)
        let trainLoader = try BatchLoader(
            data.train, transform: loaded.preprocessing.training(augmentation),
            configuration: settings.loading(shuffle: true))
        let valLoader = try BatchLoader(
            data.val, transform: loaded.preprocessing.evaluation(), configuration: settings.loading(shuffle: false))
        streams = [trainLoader, valLoader].map { [loaded, store = self.features] in
            FeatureStream($0, model: model, input: loaded.input, store: store)
        }
        let rates = settings.learningRates
        let steps = try settings.unfreezingSteps()
        laterUnfrozen = try steps.keys.sorted().map { ($0, try module.report(matching: steps[$0] ?? [])) }
        let names = try FineTuneRun.names(unfrozen, laterUnfrozen)
        try rates.check(names, in: module)
        try loaded.imported.checkWritable(module.namedParameters().filter { names.contains($0.name) }.map(\.parameter))
        let trainable = module.parameters().filter(\.requiresGrad)
        trainer = Trainer(
            model: model, train: streams[0], val: streams[1],
            optimizer: try settings.makeOptimizer(try rates.groups(trainable, in: module)),
            schedule: try settings.makeSchedule(), options: settings.trainerOptions(data.train),
            unfreezing: GradualUnfreezing(steps: steps) { try rates.groups($0, in: module) })
        loadingNotes = notes
        _ = waitForPictures(seconds: FineTuneRun.patienceForPictures)
    }

    /// How long training waits for notes about pictures.
    private static let patienceForPictures = 0.3

    /// Waits until it is known what the pictures contain, at most so many seconds in all. True when it is.
    func waitForPictures(seconds: Double = 0) -> Bool {
        let end = ContinuousClock.now + .seconds(seconds)
        return censuses.allSatisfy { $0.wait(seconds: max(0, (end - .now) / .seconds(1))) }
    }

    /// Notes about the contents of the pictures, which are read behind the back of training; nil while that goes on, unless
    /// `waiting` for it.
    public func pictureNotes(waiting: Bool = false) -> [String]? {
        if let knownPictureNotes { return knownPictureNotes }
        guard waiting || waitForPictures() else { return nil }
        let contents = censuses.map { $0.wait().index.contents }
        knownPictureNotes = data.warnings(contents: (contents[0], contents[1]))
        return knownPictureNotes
    }

    /// Everything that is trainable sooner or later. Throws `SettingError` for a step that adds nothing.
    private static func names(
        _ unfrozen: FreezingReport, _ later: [(epoch: Int, report: FreezingReport)]
    ) throws -> Set<String> {
        try later.reduce(into: Set(unfrozen.names)) { names, step in
            guard !names.isSuperset(of: step.report.names) else {
                throw SettingError("--unfreeze-at", "what epoch \(step.epoch) names is trainable already")
            }
            names.formUnion(step.report.names)
        }
    }

    /// Layers that join later, by epoch.
    public let laterUnfrozen: [(epoch: Int, report: FreezingReport)]

    /// What is trainable in `epoch`, counted from 1.
    public func trainable(inEpoch epoch: Int) -> FreezingReport {
        var names = Set(unfrozen.names)
        for later in laterUnfrozen where later.epoch <= epoch { names.formUnion(later.report.names) }
        let parameters = module.namedParameters().filter { names.contains($0.name) }
        return FreezingReport(
            names: parameters.map(\.name), elements: parameters.reduce(0) { $0 + $1.parameter.count },
            totalTensors: unfrozen.totalTensors, totalElements: unfrozen.totalElements)
    }

    /// Pictures that could not be read so far.
    public var skippedPictures: [PictureError] { streams.flatMap(\.skipped) }

    /// The pictures that `settings` name. Throws `DatasetError`, `SettingError`.
    static func findPictures(_ settings: RunSettings) throws -> FoundPictures {
        let folder = defaultData(model: settings.model)
        guard settings.data != nil || FileManager.default.fileExists(atPath: folder) else {
            throw SettingError(
                "--data", "give a folder with train/ and val/ pictures (there is no '\(folder)' beside the model)")
        }
        return try FoundPictures(settings.data ?? folder)
    }

    /// `models/resnet-tiny-data` for `models/resnet-tiny.onnx`.
    static func defaultData(model: String) -> String {
        (model.hasSuffix(".onnx") ? String(model.dropLast(5)) : model) + "-data"
    }

    /// A new head when the classes differ in number, or are known to be others.
    private static func fitHead(
        _ settings: RunSettings, _ loaded: LoadedModel, _ classes: [String]
    ) throws -> GraphModule.HeadReplacement? {
        let sameCount = loaded.classCount == classes.count
        if settings.keepHead {
            guard sameCount else {
                throw ClassMismatch(
                    settings.model,
                    "tells \(loaded.classCount) classes apart, the data has \(classes.count); without --keep-head it "
                        + "gets a new head")
            }
            return nil
        }
        if sameCount && (loaded.classes == nil || loaded.classes == classes) { return nil }
        var random = RandomSource(seed: settings.seed).split("head")
        return try ONNXError.naming(settings.model) {
            try loaded.imported.replaceHead(classes: classes.count, imageSize: loaded.imageSize, using: &random)
        }
    }

    private static func unfreeze(
        _ settings: RunSettings, _ module: GraphModule, _ head: GraphModule.HeadReplacement?
    ) throws -> FreezingReport {
        // A fresh head that stayed frozen would make every result random.
        try module.unfreeze(matching: settings.unfreeze + (head == nil ? [] : ["head"]))
    }
}

extension FineTuneRun {
    /// What `best.onnx` says about itself.
    func metadata(_ best: Trainer.Best) throws -> [(key: String, value: String)] {
        var preprocessing = loaded.preprocessing
        preprocessing.augment = augmentation
        return try ModelCard(classes: data.classes, preprocessing: preprocessing, output: loaded.outputName).metadata()
            + [
                ("finetune.base_sha256", loaded.imported.file.bytes.sha256()),
                ("finetune.unfrozen", trainable(inEpoch: best.epoch).names.joined(separator: ",")),
                ("finetune.epoch", "\(best.epoch)"), ("finetune.val_accuracy", "\(best.accuracy)"),
            ]
    }
}
