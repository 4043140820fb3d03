/// Samples to numbers: torchvision's `ToTensor` and `Normalize`, `(sample / 255 - mean) / std` in float32.
public struct Normalization: Sendable, Hashable {
    /// One value for each channel, or one for all.
    public let mean: [Float]
    public let std: [Float]

    /// Throws `TransformError` unless both hold the same number of finite values, one or more, and no `std` is zero.
    public init(mean: [Float], std: [Float]) throws(TransformError) {
        guard !mean.isEmpty, mean.count == std.count else {
            throw .normalization("\(mean.count) means and \(std.count) standard deviations; one pair for each channel")
        }
        guard mean.allSatisfy(\.isFinite), std.allSatisfy({ $0.isFinite && $0 != 0 }) else {
            throw .normalization("mean \(mean), std \(std); every value must be finite and no std zero")
        }
        self.init(checkedMean: mean, std: std)
    }

    private init(checkedMean mean: [Float], std: [Float]) {
        self.mean = mean
        self.std = std
    }

    /// Pixels from 0 to 1.
    public static let none = Normalization(checkedMean: [0], std: [1])
    /// The statistics of ImageNet that torchvision's models were trained with.
    public static let imagenet = Normalization(checkedMean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225])
    /// The statistics of CIFAR-10.
    public static let cifar10 = Normalization(checkedMean: [0.4914, 0.4822, 0.4465], std: [0.2470, 0.2435, 0.2616])

    /// The presets by the names that the command line uses.
    public static let presets: [(name: String, value: Normalization)] = [
        ("imagenet", imagenet), ("cifar10", cifar10), ("none", none),
    ]

    /// True when it fits pictures with that many channels.
    public func fits(channels: Int) -> Bool { mean.count == 1 || mean.count == channels }

    /// The number for each of the 256 sample values of each channel.
    func table(channels: Int) -> [Float] {
        precondition(fits(channels: channels), "\(mean.count) means for \(channels) channels")
        return (0..<channels).flatMap { channel in
            let mean = self.mean[self.mean.count == 1 ? 0 : channel]
            let std = self.std[self.std.count == 1 ? 0 : channel]
            return (0..<256).map { (Float($0) / 255 - mean) / std }
        }
    }
}

extension Normalization: CustomStringConvertible {
    public var description: String { "Normalize(mean: \(mean), std: \(std))" }
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
