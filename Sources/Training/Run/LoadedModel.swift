import GraphIR
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
    /// The output, or another value, that classes are decided by; nil for the first that holds scores.
    public let outputName: String?
    /// What a user should be told: a size that was assumed, a batch size that was overridden.
    public let notes: [String]

    /// Loads the model at `path`. Throws `ONNXError`, and `SettingError` for overrides that do not fit.
    public init(path: String, overrides: Overrides = Overrides(), limits: LoadLimits = .default) throws {
        let file = try ModelFile.read(path, limits: limits)
        do {
            try self.init(file, overrides)
        } catch let error as GraphError {
            throw ONNXError(path, .invalidModel, "\(error)\(LoadedModel.advice(file, overrides))")
        }
    }

    /// What to do about a graph that does not fit when another size than the file's was asked for.
    private static func advice(_ file: ModelFile, _ overrides: Overrides) -> String {
        guard let graph = try? file.graph() else { return "" }
        if let size = overrides.imageSize, let height = try? PictureInput(graph).height, height != size {
            return "; the file fixes pictures of \(height) pixels: leave --image-size away"
        }
        return ""
    }

    private init(_ file: ModelFile, _ overrides: Overrides) throws {
        try SettingRange.check(overrides.imageSize, SettingRange.pixels, "--image-size")
        try SettingRange.check(overrides.resize, SettingRange.pixels, "--resize")
        let size = overrides.imageSize
        let card = ModelCard(metadata: file.metadata)
        outputName = overrides.outputName ?? card.output
        imported = try ImportedModel(file: file, imageSize: size.map { ($0, $0) }, output: outputName)
        let graph = imported.module.graph
        guard graph.inputs.count == 1 else {
            let names = graph.inputs.map { graph.values[$0].name }.joined(separator: ", ")
            throw ONNXError(
                file.path, .unsupported,
                "takes \(graph.inputs.count) inputs (\(names)); a classifier of one picture input is expected")
        }
        input = try PictureInput(graph)
        let known = card.preprocessing
        let side = try size ?? LoadedModel.fixedSide(input, file.path) ?? known?.imageSize
        // It may be the file's.
        try SettingRange.check(side, SettingRange.pixels, "--image-size")
        var notes: [String] = []
        if side == nil {
            let standard = LoadedModel.standardSide
            notes.append("the model leaves the picture size open: \(standard) pixels assumed (--image-size changes it)")
        }
        notes += LoadedModel.notes(on: imported, side ?? LoadedModel.standardSide)
        preprocessing = try overrides.preprocessing(
            known, channels: input.channels, imageSize: side ?? LoadedModel.standardSide)
        try SettingRange.check(preprocessing.resize, SettingRange.pixels, "--resize")
        classCount = try imported.module.classCount(
            imageSize: (preprocessing.imageSize, preprocessing.imageSize))
        classes = card.classes.flatMap { [classCount] in $0.count == classCount ? $0 : nil }
        self.notes = notes
        try checkWeights(of: file)
    }

    /// What is done otherwise than the file says.
    private static func notes(on imported: ImportedModel, _ side: Int) -> [String] {
        let module = imported.module
        var notes: [String] = []
        if let first = imported.nodesInTrainingMode.first {
            let count = imported.nodesInTrainingMode.count
            notes.append(
                "\(count) layer\(count == 1 ? "" : "s") of the file (\(first)\(count == 1 ? "" : ", ...")) in training mode: used, and "
                    + "written, as in inference, with running statistics")
        }
        if let batch = module.graph.fixedBatch {
            let isClosed = (try? module.batchRelations(imageSize: (side, side)))?.closedBatch != nil
            let how = batch == 1 ? "one picture at a time" : "\(batch) pictures at a time"
            notes.append(
                isClosed
                    ? "the file fixes a batch of \(batch), which its nodes depend on: \(how)"
                    : "the file fixes a batch of \(batch): overridden")
        }
        return notes
    }

    /// Pixels of a picture's side where nothing says otherwise.
    static let standardSide = 224

    /// The side of the pictures that the file fixes; nil when it leaves it open.
    private static func fixedSide(_ input: PictureInput, _ path: String) throws -> Int? {
        guard let height = input.height, let width = input.width else { return nil }
        guard height == width else {
            throw ONNXError(
                path, .unsupported, "takes pictures of \(width)x\(height) pixels; only square ones are supported")
        }
        return height
    }

    /// Throws for a weight of which no training and no answer could come.
    private func checkWeights(of file: ModelFile) throws {
        let module = imported.module
        guard let broken = module.state().first(where: { !$0.tensor.array.allFinite() }) else { return }
        throw ONNXError(
            file.path, .invalidTensor,
            "'\(module.graph.values[broken.value].name)' holds values that are not finite numbers (NaN or infinity)")
    }

    public var imageSize: (height: Int, width: Int) { (preprocessing.imageSize, preprocessing.imageSize) }
}

/// Pictures whose classes a model cannot tell apart.
public struct ClassMismatch: Error, CustomStringConvertible, Equatable {
    /// The model or the data.
    public let path: String
    public let reason: String

    public init(_ path: String, _ reason: String) {
        self.path = path
        self.reason = reason
    }

    public var description: String { "\(path): \(reason)" }
}
