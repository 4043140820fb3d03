import Foundation
import Vision

/// How pictures become a model's input; travels in the model's metadata under `finetune.preprocessing`.
public struct Preprocessing: Codable, Sendable, Equatable {
    /// 1 for grey, 3 for RGB.
    public var channels: Int
    /// Side of the square input, in pixels.
    public var imageSize: Int
    /// Length that the shorter side is resized to before the centre crop, in pixels.
    public var resize: Int
    /// Per channel, subtracted from pixels scaled to 0...1.
    public var mean: [Float]
    /// Per channel, divided by afterwards.
    public var std: [Float]
    /// Augmentation that training should use when the user asks for none in particular.
    public var augment: Augmentation?

    enum CodingKeys: String, CodingKey {
        case channels
        case imageSize = "image_size"
        case resize, mean, std, augment
    }

    /// - `resize`: nil for the tutorial's margin of 256/224, or none below 128 pixels, where small pictures such as
    ///   CIFAR's are used whole.
    public init(
        channels: Int, imageSize: Int, resize: Int? = nil, normalization: Normalization, augment: Augmentation? = nil
    ) {
        self.channels = channels
        self.imageSize = imageSize
        self.resize = resize ?? Preprocessing.defaultResize(imageSize)
        self.mean = normalization.mean
        self.std = normalization.std
        self.augment = augment
    }

    static func defaultResize(_ imageSize: Int) -> Int {
        imageSize >= 128 ? min(Transform.withMargin(imageSize), SettingRange.pixels.upperBound) : imageSize
    }

    var mode: PictureMode { channels == 1 ? .grayscale : .rgb }

    /// The deterministic transform: resize, centre crop, normalise.
    public func evaluation() throws -> Transform {
        try .evaluation(
            side: imageSize, resize: resize, mode: mode, normalization: Normalization(mean: mean, std: std))
    }

    /// The transform for training pictures.
    public func training(_ augmentation: Augmentation) throws -> Transform {
        switch augmentation {
        case .none: try evaluation()
        case .tutorial:
            try .training(side: imageSize, mode: mode, normalization: Normalization(mean: mean, std: std))
        }
    }
}

/// Random changes of training pictures.
public enum Augmentation: String, Codable, Sendable, CaseIterable {
    /// `RandomResizedCrop` and `RandomHorizontalFlip`.
    case tutorial
    /// The transform of validation: features of frozen layers are then computed once.
    case none
}

/// What a model's metadata says about its use.
public struct ModelCard: Sendable, Equatable {
    public static let classesKey = "finetune.classes"
    public static let preprocessingKey = "finetune.preprocessing"
    public static let outputKey = "finetune.output"

    public var classes: [String]?
    public var preprocessing: Preprocessing?
    /// The output, or another value, that classes are decided by, where it is not the first.
    public var output: String?

    public init(classes: [String]? = nil, preprocessing: Preprocessing? = nil, output: String? = nil) {
        self.output = output
        self.classes = classes
        self.preprocessing = preprocessing
    }

    /// Reads the entries; one that does not parse is treated as absent.
    public init(metadata: [String: String]) {
        func decode<T: Decodable>(_ type: T.Type, _ key: String) -> T? {
            metadata[key].flatMap { try? JSONDecoder().decode(type, from: Data($0.utf8)) }
        }
        classes = decode([String].self, ModelCard.classesKey)
        output = metadata[ModelCard.outputKey]
        preprocessing = decode(Preprocessing.self, ModelCard.preprocessingKey)
    }

    /// The entries to write.
    public func metadata() throws -> [(key: String, value: String)] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        var result: [(key: String, value: String)] = []
        if let classes {
            result.append((ModelCard.classesKey, String(decoding: try encoder.encode(classes), as: UTF8.self)))
        }
        if let preprocessing {
            result.append(
                (ModelCard.preprocessingKey, String(decoding: try encoder.encode(preprocessing), as: UTF8.self)))
        }
        if let output { result.append((ModelCard.outputKey, output)) }
        return result
    }
}
