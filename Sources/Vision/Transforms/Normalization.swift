/// Samples to numbers: torchvision's `ToTensor` and `Normalize`, `(sample / 255 - mean) / std` in float32; for models that
/// want 0 to 255, `(sample - mean) / std`.
public struct Normalization: Sendable, Hashable {
    /// What a white sample is before mean and standard deviation.
    public enum Range: String, Sendable, Hashable, Codable, CaseIterable {
        /// 1
        case unit
        /// 255
        case bytes
    }

    /// In which order a model takes the colours.
    public enum ChannelOrder: String, Sendable, Hashable, Codable, CaseIterable {
        case rgb, bgr
    }

    /// One value for each colour (red, green, blue, whatever the order of channels), or one for all.
    public let mean: [Float]
    public let std: [Float]
    public let range: Range
    public let order: ChannelOrder

    /// Throws `TransformError` unless both hold the same number of finite values, one or more, and no `std` is zero.
    public init(
        mean: [Float], std: [Float], range: Range = .unit, order: ChannelOrder = .rgb
    ) throws(TransformError) {
        guard !mean.isEmpty, mean.count == std.count else {
            throw .normalization("\(mean.count) means and \(std.count) standard deviations; one pair for each channel")
        }
        guard mean.allSatisfy(\.isFinite), std.allSatisfy({ $0.isFinite && $0 != 0 }) else {
            throw .normalization("mean \(mean), std \(std); every value must be finite and no std zero")
        }
        self.init(checkedMean: mean, std: std, range: range, order: order)
    }

    private init(checkedMean mean: [Float], std: [Float], range: Range = .unit, order: ChannelOrder = .rgb) {
        self.mean = mean
        self.std = std
        self.range = range
        self.order = order
    }

    /// Pixels from 0 to 1.
    public static let none = Normalization(checkedMean: [0], std: [1])
    /// The statistics of ImageNet that torchvision's models were trained with.
    public static let imagenet = Normalization(checkedMean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225])
    /// The statistics of CIFAR-10.
    public static let cifar10 = Normalization(checkedMean: [0.4914, 0.4822, 0.4465], std: [0.2470, 0.2435, 0.2616])
    /// Pixels from -1 to 1: the Inception and MobileNet models of TensorFlow, ViT, BEiT.
    public static let half = Normalization(checkedMean: [0.5], std: [0.5])
    /// Pixels from 0 to 255 minus ImageNet's means, blue first: Caffe's models and those that Keras took over.
    public static let caffe = Normalization(
        checkedMean: [123.68, 116.779, 103.939], std: [1, 1, 1], range: .bytes, order: .bgr)
    /// Pixels from 0 to 255, for models that do the rest themselves, such as EfficientNet of Keras.
    public static let bytes = Normalization(checkedMean: [0], std: [1], range: .bytes)
    /// The statistics of OpenAI's CLIP.
    public static let clip = Normalization(
        checkedMean: [0.48145466, 0.4578275, 0.40821073], std: [0.26862954, 0.26130258, 0.27577711])

    /// The presets by the names that the command line uses.
    public static let presets: [(name: String, value: Normalization)] = [
        ("imagenet", imagenet), ("cifar10", cifar10), ("half", half), ("inception", half), ("caffe", caffe),
        ("bytes", bytes), ("clip", clip), ("none", none),
    ]

    /// The same numbers for a model that takes its channels in another order.
    public func with(order: ChannelOrder) -> Normalization {
        Normalization(checkedMean: mean, std: std, range: range, order: order)
    }

    /// The preset's name, whatever the order of channels, or the numbers as the command line takes them.
    public var name: String {
        if let preset = Normalization.presets.first(where: { $0.value.has(numbersOf: self) }) { return preset.name }
        func list(_ values: [Float]) -> String { values.map { "\($0)" }.joined(separator: ",") }
        return "\(list(mean))/\(list(std))" + (range == .bytes ? " of 0 to 255" : "")
    }

    private func has(numbersOf other: Normalization) -> Bool {
        func same(_ a: [Float], _ b: [Float]) -> Bool {
            (0..<3).allSatisfy { a[$0 % a.count] == b[$0 % b.count] } && a.count <= 3 && b.count <= 3
        }
        return range == other.range && same(mean, other.mean) && same(std, other.std)
    }

    /// True when it fits pictures with that many channels.
    public func fits(channels: Int) -> Bool { mean.count == 1 || mean.count == channels }

    /// The number for each of the 256 sample values of each colour, red first.
    func table(channels: Int) -> [Float] {
        precondition(fits(channels: channels), "\(mean.count) means for \(channels) channels")
        return (0..<channels).flatMap { channel in
            let mean = self.mean[self.mean.count == 1 ? 0 : channel]
            let std = self.std[self.std.count == 1 ? 0 : channel]
            return (0..<256).map { ((range == .unit ? Float($0) / 255 : Float($0)) - mean) / std }
        }
    }
}

extension Normalization: CustomStringConvertible {
    public var description: String {
        "Normalize(mean: \(mean), std: \(std)\(range == .bytes ? ", 0 to 255" : "")\(order == .bgr ? ", BGR" : ""))"
    }
}

/// A transform that cannot be built or cannot make batches.
public enum TransformError: Error, Sendable, Hashable {
    case normalization(String)
    /// Pictures of different sizes do not stack into a batch.
    case openSize(String)
}

extension TransformError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .normalization(let got): "normalisation: got \(got)"
        case .openSize(let got):
            "pictures of one batch must have one size: \(got); end the transform with CenterCrop or an exact Resize"
        }
    }
}
