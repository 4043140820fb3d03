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
    /// Per colour (red, green, blue), subtracted from pixels scaled to `range`.
    public var mean: [Float]
    /// Per colour, divided by afterwards.
    public var std: [Float]
    /// `unit` for pixels from 0 to 1, `bytes` for 0 to 255.
    public var range: Normalization.Range
    /// In which order the channels come.
    public var order: Normalization.ChannelOrder
    /// What is resized: the shorter side, both sides, or the longer one.
    public var fit: Transform.Fit
    public var interpolation: PictureInterpolation
    /// What becomes of rotations that files tell.
    public var exif: ExifPolicy
    /// Augmentation that training should use when the user asks for none in particular.
    public var augment: Augmentation?

    enum CodingKeys: String, CodingKey {
        case channels
        case imageSize = "image_size"
        case resize, mean, std, range
        case order = "channel_order"
        case fit = "resize_mode"
        case interpolation, exif, augment
    }

    /// - `resize`: nil for the side itself; where the middle is cut out, the tutorial's margin of 256/224, or none below 128
    ///   pixels, where small pictures such as CIFAR's are used whole.
    public init(
        channels: Int, imageSize: Int, resize: Int? = nil, normalization: Normalization, fit: Transform.Fit = .crop,
        interpolation: PictureInterpolation = .bilinear, exif: ExifPolicy = .ignore, augment: Augmentation? = nil
    ) {
        self.channels = channels
        self.imageSize = imageSize
        self.resize = resize ?? (fit == .crop ? Preprocessing.defaultResize(imageSize) : imageSize)
        self.mean = normalization.mean
        self.std = normalization.std
        self.range = normalization.range
        self.order = normalization.order
        self.fit = fit
        self.interpolation = interpolation
        self.exif = exif
        self.augment = augment
    }

    /// What earlier versions did not write is as it was then.
    public init(from decoder: any Decoder) throws {
        let entries = try decoder.container(keyedBy: CodingKeys.self)
        channels = try entries.decode(Int.self, forKey: .channels)
        imageSize = try entries.decode(Int.self, forKey: .imageSize)
        resize = try entries.decode(Int.self, forKey: .resize)
        mean = try entries.decode([Float].self, forKey: .mean)
        std = try entries.decode([Float].self, forKey: .std)
        range = try entries.decodeIfPresent(Normalization.Range.self, forKey: .range) ?? .unit
        order = try entries.decodeIfPresent(Normalization.ChannelOrder.self, forKey: .order) ?? .rgb
        fit = try entries.decodeIfPresent(Transform.Fit.self, forKey: .fit) ?? .crop
        interpolation = try entries.decodeIfPresent(PictureInterpolation.self, forKey: .interpolation) ?? .bilinear
        exif = try entries.decodeIfPresent(ExifPolicy.self, forKey: .exif) ?? .ignore
        augment = try entries.decodeIfPresent(Augmentation.self, forKey: .augment)
    }

    static func defaultResize(_ imageSize: Int) -> Int {
        imageSize >= 128 ? min(Transform.withMargin(imageSize), SettingRange.pixels.upperBound) : imageSize
    }

    /// What happens to samples. Throws `TransformError` for numbers that make no sense.
    func normalization() throws(TransformError) -> Normalization {
        try Normalization(mean: mean, std: std, range: range, order: order)
    }

    var mode: PictureMode { channels == 1 ? .grayscale : .rgb }

    /// The deterministic transform: resize, centre crop, normalise.
    public func evaluation() throws -> Transform {
        try .evaluation(
            side: imageSize, resize: resize, fit: fit, mode: mode, normalization: normalization(),
            interpolation: interpolation, exif: exif)
    }

    /// The transform for training pictures.
    public func training(_ augmentation: Augmentation) throws -> Transform {
        switch augmentation {
        case .none: try evaluation()
        case .tutorial:
            try .training(
                side: imageSize, mode: mode, normalization: normalization(), interpolation: interpolation, exif: exif)
        }
    }
}

extension Preprocessing: CustomStringConvertible {
    /// One line: `224 x 224 RGB; shorter side to 256 (bilinear), middle cut out; normalize imagenet; EXIF ignored`.
    public var description: String {
        let colors = mode == .grayscale ? "grey" : order.rawValue.uppercased()
        let resized =
            switch fit {
            case .crop: "shorter side to \(resize) (\(interpolation))"
            case .squash: "both sides to \(resize) (\(interpolation))"
            case .letterbox: "longer side to \(resize) (\(interpolation)), the rest black"
            }
        let cut = fit == .crop || resize != imageSize ? ", middle cut out" : ""
        let numbers = (try? normalization().name) ?? "unknown"
        return "\(imageSize) x \(imageSize) \(colors); \(resized)\(cut); normalize \(numbers); "
            + "EXIF \(exif == .ignore ? "ignored" : "applied")"
    }

    /// One line when pictures carry a rotation that is ignored, else nil.
    public func rotationNote(_ datasets: PictureDataset...) -> String? {
        rotationNote(datasets.flatMap { $0.samples.map(\.path) })
    }

    /// One line when files carry a rotation that is ignored, else nil.
    public func rotationNote(_ paths: [String]) -> String? {
        guard exif == .ignore else { return nil }
        let count = PictureOrientation.rotatedCount(of: paths)
        guard count > 0 else { return nil }
        let (subject, object) = count == 1 ? ("1 picture carries", "it") : ("\(count) pictures carry", "them")
        return "\(subject) a rotation; --exif apply turns \(object)"
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
