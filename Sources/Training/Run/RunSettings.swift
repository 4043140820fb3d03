import Foundation
import NN
import Vision

/// Everything that decides what a run does; written to `run.json` so that it can be repeated. Keys are the options' names.
public struct RunSettings: Codable, Sendable, Equatable {
    /// What batch norm layers do while training.
    public enum BatchNormMode: String, Codable, Sendable, CaseIterable {
        /// Running statistics, untouched: the frozen part is folded and cached.
        case frozen
        /// The batch's statistics, running ones following: the tutorial's behaviour.
        case train
    }

    public var model: String
    /// A folder of pictures or a CSV/TSV list; nil for the folder `<model>-data` beside the model.
    public var data: String?
    public var unfreeze: [String] = ["head"]
    /// `EPOCH:PATTERNS`: layers that join at the start of an epoch, counted from 1.
    public var unfreezeAt: [String] = []
    public var epochs = 25
    /// Stops after so many epochs without a better validation accuracy.
    public var patience: Int?
    public var batchSize = 4
    public var learningRates = LearningRates()
    public var momentum = 0.9
    public var weightDecay = 0.0
    /// `step:7:0.1`, `cosine`, `constant`, ...
    public var schedule = "step:7:0.1"
    /// `sgd`, `adam`, `adamw`.
    public var optimizer = "sgd"
    /// Nil for what the model's metadata says, else the tutorial's.
    public var augment: Augmentation?
    public var batchNorm: BatchNormMode = .frozen
    public var seed: UInt64 = 0
    /// Fraction of each class taken for validation when the data has no `val` folder.
    public var valFraction: Double?
    public var imageSize: Int?
    public var resize: Int?
    /// A preset or `mean/std` numbers.
    public var normalize: String?
    /// In which order the model takes the colours.
    public var channels: Normalization.ChannelOrder?
    /// How pictures become square.
    public var resizeMode: Transform.Fit?
    public var interpolation: PictureInterpolation?
    /// What becomes of rotations that files tell.
    public var exif: ExifPolicy?
    /// The output, or another value, that classes are decided by; nil for the first that holds scores.
    public var outputName: String?
    /// A different number of classes is an error instead of a new head.
    public var keepHead = false
    public var labelSmoothing = 0.0
    public var clipNorm: Double?
    /// `balanced`, or nil for equal weights.
    public var classWeights: String?
    /// Threads of the kernels; 0 for one per CPU.
    public var threads = 0
    /// Skip pictures that cannot be read, with a count, instead of stopping.
    public var skipBadPictures = false
    /// Where values of frozen layers are kept for later runs: `auto`, `off` or a folder. Changes no result.
    public var featureCache = "auto"
    /// Megabytes (2^20 bytes) that they may take there.
    public var featureCacheLimit = FeatureCache.standardLimit >> 20

    /// The tutorial's settings for the model at `model`.
    public init(model: String) { self.model = model }

    /// The rate of layers without one of their own.
    public var learningRate: Double {
        get { learningRates.base }
        set { learningRates.base = newValue }
    }

    /// The options' names.
    public enum CodingKeys: String, CodingKey, CaseIterable {
        case model, data, unfreeze
        case unfreezeAt = "unfreeze-at"
        case epochs, patience
        case batchSize = "batch-size"
        case learningRates = "lr"
        case momentum
        case weightDecay = "weight-decay"
        case schedule, optimizer, augment
        case batchNorm = "batch-norm"
        case seed
        case valFraction = "val-fraction"
        case imageSize = "image-size"
        case resize, normalize, channels
        case resizeMode = "resize-mode"
        case interpolation, exif
        case outputName = "output-name"
        case keepHead = "keep-head"
        case labelSmoothing = "label-smoothing"
        case clipNorm = "clip-norm"
        case classWeights = "class-weights"
        case threads
        case skipBadPictures = "skip-bad-pictures"
        case featureCache = "feature-cache"
        case featureCacheLimit = "feature-cache-limit"
    }
}

extension RunSettings {
    /// Settings that are missing have their defaults: an older `run.json` stays readable.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        func take<T: Decodable>(_ value: inout T, _ key: CodingKeys) throws {
            if let given = try container.decodeIfPresent(T.self, forKey: key) { value = given }
        }
        self.init(model: try container.decode(String.self, forKey: .model))
        try take(&data, .data)
        try take(&unfreeze, .unfreeze)
        try take(&unfreezeAt, .unfreezeAt)
        try take(&epochs, .epochs)
        try take(&patience, .patience)
        try take(&batchSize, .batchSize)
        try take(&learningRates, .learningRates)
        try take(&momentum, .momentum)
        try take(&weightDecay, .weightDecay)
        try take(&schedule, .schedule)
        try take(&optimizer, .optimizer)
        try take(&augment, .augment)
        try take(&batchNorm, .batchNorm)
        try take(&seed, .seed)
        try take(&valFraction, .valFraction)
        try take(&imageSize, .imageSize)
        try take(&resize, .resize)
        try take(&normalize, .normalize)
        try take(&channels, .channels)
        try take(&resizeMode, .resizeMode)
        try take(&interpolation, .interpolation)
        try take(&exif, .exif)
        try take(&outputName, .outputName)
        try take(&keepHead, .keepHead)
        try take(&labelSmoothing, .labelSmoothing)
        try take(&clipNorm, .clipNorm)
        try take(&classWeights, .classWeights)
        try take(&threads, .threads)
        try take(&skipBadPictures, .skipBadPictures)
        try take(&featureCache, .featureCache)
        try take(&featureCacheLimit, .featureCacheLimit)
    }

    /// The options that make these settings, without those that are as by default: `["--model", "m.onnx", "--epochs", "3"]`.
    public func arguments() throws -> [String] {
        let own = try options()
        let usual = try RunSettings(model: "").options()
        return CodingKeys.allCases.flatMap { key -> [String] in
            guard let value = own[key.rawValue], value != usual[key.rawValue] else { return [] }
            return value.arguments(for: key.rawValue)
        }
    }

    /// Every setting that has a value, by its option's name without dashes.
    func options() throws -> [String: OptionValue] {
        try JSONDecoder().decode([String: OptionValue].self, from: JSONEncoder().encode(self))
    }
}

/// The value of an option in JSON or YAML: a flag, a number or text, or several.
enum OptionValue: Decodable, Equatable {
    case flag(Bool)
    case text(String)
    case list([String])

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if let flag = try? container.decode(Bool.self) {
            self = .flag(flag)
        } else if let number = try? container.decode(Int.self) {
            self = .text("\(number)")
        } else if let number = try? container.decode(UInt64.self) {
            self = .text("\(number)")
        } else if let number = try? container.decode(Double.self) {
            self = .text("\(number)")
        } else if let list = try? container.decode([String].self) {
            self = .list(list)
        } else {
            self = .text(try container.decode(String.self))
        }
    }

    /// What a person reads.
    var text: String {
        switch self {
        case .flag(let isSet): isSet ? "yes" : "no"
        case .text(let text): text
        case .list(let texts): texts.isEmpty ? "none" : texts.joined(separator: ", ")
        }
    }

    func arguments(for name: String) -> [String] {
        switch self {
        case .flag(let isSet): isSet ? ["--\(name)"] : []
        case .text(let text): optionWords(name, text)
        case .list(let texts): texts.flatMap { optionWords(name, $0) }
        }
    }
}

/// `--resume run`, in one word where the value would be taken for an option.
public func optionWords(_ name: String, _ value: String) -> [String] {
    value.hasPrefix("-") ? ["--\(name)=\(value)"] : ["--\(name)", value]
}

extension RunSettings {
    /// Throws `SettingError` for a number out of its range.
    public func check() throws {
        func require(_ condition: Bool, _ option: String, _ reason: String) throws {
            if !condition { throw SettingError(option, reason) }
        }
        try SettingRange.check(epochs, SettingRange.epochs, "--epochs")
        try SettingRange.check(patience, SettingRange.epochs, "--patience")
        try SettingRange.check(batchSize, SettingRange.batchSize, "--batch-size")
        try SettingRange.check(threads, SettingRange.threads, "--threads")
        try SettingRange.check(featureCacheLimit, SettingRange.megabytes, "--feature-cache-limit")
        try require(learningRate > 0 && learningRate.isFinite, "--lr", "\(learningRate) is not a positive number")
        try require(momentum >= 0 && momentum < 1, "--momentum", "\(momentum) is not in 0 ..< 1")
        try require(
            weightDecay >= 0 && weightDecay.isFinite, "--weight-decay", "\(weightDecay) is not a finite number from 0")
        try require((0..<1).contains(labelSmoothing), "--label-smoothing", "\(labelSmoothing) is not in 0 ..< 1")
        try require(clipNorm.map { $0 > 0 && $0.isFinite } ?? true, "--clip-norm", "expected a positive number")
        if let valFraction {
            try require(valFraction > 0 && valFraction < 1, "--val-fraction", "\(valFraction) is not between 0 and 1")
        }
        guard RunSettings.optimizers.contains(optimizer) else { throw unknownOptimizer }
        try require(
            optimizer == "sgd" || momentum == RunSettings(model: model).momentum, "--momentum",
            "only sgd has it; \(optimizer) would train as without it")
        try require(!featureCache.isEmpty, "--feature-cache", "expected auto, off or a folder")
        try require(
            classWeights == nil || classWeights == "balanced", "--class-weights",
            "'\(classWeights ?? "")' is not 'balanced'\(suggestion(for: classWeights ?? "", among: ["balanced"]))")
        _ = try makeSchedule()
        _ = try unfreezingSteps()
    }
}

/// A setting whose text cannot be understood.
public struct SettingError: Error, CustomStringConvertible, Equatable {
    public let option: String
    public let reason: String

    public init(_ option: String, _ reason: String) {
        self.option = option
        self.reason = reason
    }

    public var description: String { "\(option): \(reason)" }
}
