import Foundation

/// Everything that decides what a run does; written to `run.json` so that it can be repeated.
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
    public var epochs = 25
    public var batchSize = 4
    public var learningRate = 0.001
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

    public init(model: String) { self.model = model }
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
