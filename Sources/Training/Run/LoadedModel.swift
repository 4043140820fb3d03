import NN
import ONNX
import TensorCore
import Vision

/// A model with what is known of the pictures it takes: the start of training, evaluation and prediction.
public struct LoadedModel {
    public let imported: ImportedModel
    public let input: PictureInput
    public let preprocessing: Preprocessing
    /// Class names from the model's metadata.
    public let classes: [String]?
    /// Number of logits.
    public let classCount: Int
    /// What a user should be told: a size that was assumed, a batch size that was overridden.
    public let notes: [String]

    /// How pictures are prepared when the model's metadata does not say, or says otherwise.
    public struct Overrides: Sendable {
        public var imageSize: Int?
        public var resize: Int?
        public var normalize: String?
        public init(imageSize: Int? = nil, resize: Int? = nil, normalize: String? = nil) {
            self.imageSize = imageSize
            self.resize = resize
            self.normalize = normalize
        }
    }

    /// Loads the model at `path`. Throws what `ImportedModel` throws, and `SettingError` for overrides that do not fit.
    public init(path: String, overrides: Overrides = Overrides(), limits: LoadLimits = .default) throws {
        let file = try ModelFile.read(path, limits: limits)
        let card = ModelCard(
            metadata: Dictionary(file.model.metadataProps.map { ($0.key, $0.value) }, uniquingKeysWith: { a, _ in a }))
        let size = try overrides.imageSize.map { size in
            guard size > 0 else { throw SettingError("--image-size", "\(size) is not a number of pixels") }
            return size
        }
        imported = try ImportedModel(file: file, imageSize: size.map { ($0, $0) })
        let graph = imported.module.graph
        input = try PictureInput(graph)
        var notes: [String] = []
        let side: Int
        if let size {
            side = size
        } else if let height = input.height, let width = input.width {
            guard height == width else {
                throw SettingError(
                    "--image-size", "the model takes \(width)x\(height) pictures; only square ones are supported")
            }
            side = height
        } else if let known = card.preprocessing?.imageSize {
            side = known
        } else {
            side = 224
            notes.append("the model leaves the picture size open: 224 pixels assumed (--image-size changes it)")
        }
        if let batch = graph.fixedBatch { notes.append("the file fixes a batch of \(batch): overridden") }

        let known = card.preprocessing
        let normalization: Normalization
        if let text = overrides.normalize {
            normalization = try RunSettings.parseNormalization(text)
        } else if let known {
            normalization = try Normalization(mean: known.mean, std: known.std)
        } else {
            normalization = input.channels == 3 ? .imagenet : .none
        }
        guard normalization.fits(channels: input.channels) else {
            throw SettingError(
                "--normalize", "\(normalization.mean.count) values for a model of \(input.channels) channel(s)")
        }
        preprocessing = Preprocessing(
            channels: input.channels, imageSize: side,
            resize: overrides.resize ?? (size == nil ? known?.resize : nil), normalization: normalization,
            augment: known?.augment)
        guard preprocessing.resize >= 1 else { throw SettingError("--resize", "expected a number of pixels") }
        classCount = try imported.module.classCount(imageSize: (side, side))
        classes = card.classes.flatMap { [classCount] in $0.count == classCount ? $0 : nil }
        self.notes = notes
    }

    public var imageSize: (height: Int, width: Int) { (preprocessing.imageSize, preprocessing.imageSize) }
}
