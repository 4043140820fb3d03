import Files
import TensorCore

/// Everything between a decoded picture and the model's input: colours, geometric steps in order, normalisation.
public struct Transform: Sendable {
    /// What files are decoded to; its channels are the model's input channels.
    public let mode: PictureMode
    public let steps: [any PictureTransform]
    public let normalization: Normalization
    /// Whether a rotation that a file tells is applied before the first step.
    public let exif: ExifPolicy
    private let table: [Float]

    /// Throws `TransformError` if `normalization` has another number of channels than `mode`, or an order of colours where
    /// there are none.
    public init(
        mode: PictureMode = .rgb, _ steps: [any PictureTransform], normalization: Normalization,
        exif: ExifPolicy = .ignore
    ) throws(TransformError) {
        guard normalization.fits(channels: mode.channels) else {
            throw .normalization(
                "\(normalization.mean.count) values for \(mode.channels)-channel (\(mode.rawValue)) pictures")
        }
        guard normalization.order == .rgb || mode == .rgb else {
            throw .normalization("BGR channels for grey pictures")
        }
        self.exif = exif
        self.mode = mode
        self.steps = steps
        self.normalization = normalization
        self.table = normalization.table(channels: mode.channels)
    }

    /// How a picture of any shape becomes a square.
    public enum Fit: String, Sendable, Hashable, Codable, CaseIterable {
        /// The shorter side is resized, the middle cut out.
        case crop
        /// Both sides are resized; the shape changes.
        case squash
        /// The longer side is resized, the rest stays black.
        case letterbox
    }

    /// The tutorial's transform for training: `RandomResizedCrop(side)`, `RandomHorizontalFlip()`, normalise.
    public static func training(
        side: Int, mode: PictureMode = .rgb, normalization: Normalization = .imagenet,
        interpolation: Interpolation = .bilinear, exif: ExifPolicy = .ignore
    ) throws(TransformError) -> Transform {
        try Transform(
            mode: mode, [RandomResizedCrop(side, interpolation), RandomHorizontalFlip()], normalization: normalization,
            exif: exif)
    }

    /// The tutorial's transform for validation: `Resize(resize)`, `CenterCrop(side)`, normalise.
    ///
    /// - `resize`: by default the tutorial's margin, `side * 256 / 224`.
    /// - `fit`: what is resized to `resize`: the shorter side, both sides, or the longer one.
    public static func evaluation(
        side: Int, resize: Int? = nil, fit: Fit = .crop, mode: PictureMode = .rgb,
        normalization: Normalization = .imagenet, interpolation: Interpolation = .bilinear, exif: ExifPolicy = .ignore
    ) throws(TransformError) -> Transform {
        let resize = resize ?? withMargin(side)
        let square = PictureSize(width: resize, height: resize)
        let step: any PictureTransform =
            switch fit {
            case .crop: Resize(shorterSide: resize, interpolation)
            case .squash: Resize(square, interpolation)
            case .letterbox: Letterbox(square, interpolation)
            }
        return try Transform(mode: mode, [step, CenterCrop(side)], normalization: normalization, exif: exif)
    }

    /// What the tutorial resizes the shorter side to before it crops to `side`.
    public static func withMargin(_ side: Int) -> Int { side * 256 / 224 }

    /// True when the result depends on the picture alone, so that features of it may be kept.
    public var isDeterministic: Bool { steps.allSatisfy(\.isDeterministic) }

    /// The size every picture leaves with, or nil when it depends on the picture.
    public var outputSize: PictureSize? { outputSize(of: nil) }

    /// The size a picture of size `input` leaves with; nil input means unknown.
    public func outputSize(of input: PictureSize?) -> PictureSize? {
        steps.reduce(input) { size, step in step.outputSize(of: size) }
    }

    /// Runs the geometric steps; random choices come from `random` alone.
    public func apply(to picture: Picture, using random: inout RandomSource) -> DeferredPicture {
        var result = DeferredPicture(picture.converted(to: mode))
        for step in steps { step.apply(to: &result, using: &random) }
        return result
    }

    /// The model's input for one picture, float32 `[channels, height, width]`.
    public func callAsFunction(_ picture: Picture, using random: inout RandomSource) -> NDArray {
        let result = apply(to: picture, using: &random)
        var array = NDArray(uninitialized: [mode.channels, result.height, result.width], dtype: .float32)
        array.withMutableElements(as: Float.self) { write(result, into: $0) }
        return array
    }

    /// Normalises into `[channels, height, width]` floats.
    func write(_ picture: DeferredPicture, into planes: UnsafeMutableBufferPointer<Float>) {
        picture.write(table: table, isReversed: normalization.order == .bgr, into: planes)
    }

    /// Names everything that changes the numbers; equal fingerprints mean equal results for equal pictures.
    public var fingerprint: String {
        var hash = SHA256()
        hash.update(Array("pictures 1; \(description)".utf8))
        return hash.hexDigest()
    }
}

extension Transform: CustomStringConvertible {
    public var description: String {
        (["Decode(\(mode.rawValue)\(exif == .apply ? ", turned" : ""))"] + steps.map(\.description) + [
            normalization.description
        ]).joined(separator: "; ")
    }
}
