import Autograd
import NN
import Operators
import TensorCore
import Vision

/// How well a model does on labelled pictures.
public struct Evaluation: Sendable {
    /// One class's share.
    public struct ClassResult: Sendable, Equatable {
        public var name: String
        public var correct: Int
        public var total: Int
    }

    public var correct: Int
    public var total: Int
    public var result: PhaseResult
    public var classes: [ClassResult]
    /// Pictures that could not be read and were left out.
    public var skipped: [PictureError]
}

/// A model that is only asked: every node runs as a plan, nothing is recorded.
public final class Predictor {
    public let loaded: LoadedModel
    private let model: CutModel

    /// Freezes the whole of `loaded`. Throws `GraphError`.
    public init(_ loaded: LoadedModel) throws {
        self.loaded = loaded
        let module = loaded.imported.module
        try module.freeze()
        module.eval()
        model = try CutModel(module, imageSize: loaded.imageSize)
    }

    /// Logits `[N, classes]` of normalised pictures `[N, C, H, W]`.
    public func logits(_ images: NDArray) throws -> NDArray {
        try noGrad { try model.logits(try model.features(try loaded.input.arrange(images))) }.array
    }

    /// Pictures of a folder or list, its validation part where there is one; with the `valFraction` and `seed` of a run, the
    /// part that the run was validated on. Throws `DatasetError`.
    public static func dataset(
        _ path: String, valFraction: Double? = nil, seed: UInt64 = 0
    ) throws -> PictureDataset {
        try DatasetSplit.validation(path, valFraction: valFraction, seed: seed)
    }

    /// Evaluates on `dataset`, whose classes are the model's by name where the model has names, else by order.
    ///
    /// Throws `ClassMismatch` when the classes do not fit the model, `DatasetError` when no picture can be read.
    public func evaluate(
        _ dataset: PictureDataset, batchSize: Int = 32, skipBadPictures: Bool = false,
        onBatch: (Int, Int) throws -> Void = { _, _ in }
    ) throws -> Evaluation {
        let labels = try modelLabels(of: dataset)
        let loader = try BatchLoader(
            dataset, transform: loaded.preprocessing.evaluation(),
            configuration: BatchLoader.Configuration(
                batchSize: batchSize, cacheBytes: 0, badPictures: skipBadPictures ? .skip : .fail))
        let loss = CrossEntropyLoss()
        var statistics = PhaseStatistics()
        var done = 0
        let epoch = loader.epoch(0)
        while let batch = try epoch.next() {
            let truth = batch.labels.map { labels[$0] }
            let logits = try logits(batch.images)
            let value = try noGrad { try loss(Tensor(logits), truth).item() }
            statistics.add(
                loss: value, predictions: try logits.argMax(axis: 1, keepDims: false).integers(), labels: truth)
            done += 1
            try onBatch(done, loader.batchCount)
        }
        guard statistics.count > 0 else {
            let first = loader.skipped.first.map { "; the first: \($0)" } ?? ""
            throw DatasetError.unreadable(
                dataset.source, why: "none of its \(dataset.count) pictures can be decoded\(first)")
        }
        let classes = zip(dataset.classes, labels).map { name, label in
            let counts = statistics.perClass[label] ?? PhaseStatistics.ClassCount()
            return Evaluation.ClassResult(name: name, correct: counts.correct, total: counts.total)
        }
        return Evaluation(
            correct: statistics.correct, total: statistics.count, result: statistics.result, classes: classes,
            skipped: loader.skipped)
    }

    /// Positions of the dataset's classes among the model's logits.
    private func modelLabels(of dataset: PictureDataset) throws -> [Int] {
        let names = dataset.classes
        if let known = loaded.classes {
            let labels = Dictionary(zip(known, known.indices), uniquingKeysWith: { first, _ in first })
            return try names.map { name in
                guard let label = labels[name] else {
                    throw ClassMismatch(
                        dataset.source, "class '\(name)' is not one of the model's: \(known.joined(separator: ", "))")
                }
                return label
            }
        }
        guard names.count == loaded.classCount else {
            throw ClassMismatch(
                dataset.source, "has \(names.count) classes, the model tells \(loaded.classCount) apart")
        }
        return Array(names.indices)
    }

    /// One class with its probability.
    public struct Guess: Sendable, Encodable {
        public var name: String
        public var probability: Double

        public init(name: String, probability: Double) {
            self.name = name
            self.probability = probability
        }

        private enum CodingKeys: String, CodingKey {
            case name = "class"
            case probability
        }
    }

    /// A picture with its likeliest classes, the likeliest first.
    public struct Prediction: Sendable, Encodable {
        public var file: String
        public var top: [Guess]

        public init(file: String, top: [Guess]) {
            self.file = file
            self.top = top
        }
    }

    /// The `top` likeliest classes of each picture, by softmax, and the pictures that could not be read.
    ///
    /// Throws `PictureError` for the first of the latter unless `skipBadPictures`.
    public func predict(
        _ paths: [String], top: Int = 5, skipBadPictures: Bool = false,
        onBatch: (Int, Int) throws -> Void = { _, _ in }
    ) throws -> (predictions: [Prediction], skipped: [PictureError]) {
        var result: [Prediction] = []
        let skipped = try predict(paths, top: top, skipBadPictures: skipBadPictures, onBatch: onBatch) { result += $0 }
        return (result, skipped)
    }

    /// The same, handed to `onPredictions` a batch at a time, in the order of `paths`. Returns the pictures that could not be
    /// read.
    public func predict(
        _ paths: [String], top: Int = 5, skipBadPictures: Bool = false,
        onBatch: (Int, Int) throws -> Void = { _, _ in }, onPredictions: ([Prediction]) throws -> Void
    ) throws -> [PictureError] {
        let names = loaded.classes ?? (0..<loaded.classCount).map { "\($0)" }
        let dataset = PictureDataset(
            source: "pictures", classes: names, samples: paths.map { PictureSample(path: $0, label: 0) })
        guard !paths.isEmpty else { return [] }
        let loader = try BatchLoader(
            dataset, transform: loaded.preprocessing.evaluation(),
            configuration: BatchLoader.Configuration(
                batchSize: 16, cacheBytes: 0, badPictures: skipBadPictures ? .skip : .fail))
        var done = 0
        let epoch = loader.epoch(0)
        while let batch = try epoch.next() {
            let probabilities = try logits(batch.images).softmax(axis: 1, log: false)
            try onPredictions(
                batch.indices.enumerated().map { row, index in
                    let values = probabilities.rows(row..<row + 1).doubles()
                    let guesses = Predictor.largest(top, of: values).map {
                        Guess(name: names[$0], probability: values[$0])
                    }
                    return Prediction(file: paths[index], top: guesses)
                })
            done += 1
            try onBatch(done, loader.batchCount)
        }
        return loader.skipped
    }

    /// Positions of the `count` largest values, the largest first and of equal ones the first.
    static func largest(_ count: Int, of values: [Double]) -> [Int] {
        func precedes(_ a: Int, _ b: Int) -> Bool { (values[b], a) < (values[a], b) }
        // Keeping few in order as they come is cheaper than to order all; many are not few.
        guard 1..<32 ~= count, count < values.count else {
            return Array(values.indices.sorted(by: precedes).prefix(count))
        }
        var best: [Int] = []
        for index in values.indices {
            if best.count == count, let last = best.last, !precedes(index, last) { continue }
            if best.count == count { best.removeLast() }
            best.insert(index, at: best.firstIndex { precedes(index, $0) } ?? best.count)
        }
        return best
    }
}
