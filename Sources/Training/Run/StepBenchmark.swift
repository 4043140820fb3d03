import Autograd
import GraphIR
import NN
import ONNX
import Optim
import TensorCore

/// Times one step of a model on random pictures: the forward pass, or a whole training step.
public struct StepBenchmark {
    /// What is timed.
    public struct Options: Sendable {
        public var batchSize = 32
        public var repeats = 7
        public var warmup = 3
        public var imageSize: Int?
        /// Empty for the forward pass alone.
        public var unfreeze: [String] = []
        /// A forward pass of the whole model, 32 pictures at a time.
        public init() {}
    }

    /// Times and memory, as `finetune bench --json` prints them.
    public struct Result: Encodable, Sendable {
        public var msPerImageMin: Double
        public var msPerImageMedian: Double
        public var peakRssMb: Double
    }

    /// Runs the benchmark on the model at `path`; batch norms follow the batch where they are unfrozen.
    ///
    /// Throws `SettingError` for a number out of its range, and what `LoadedModel` throws.
    public static func run(path: String, options: Options) throws -> Result {
        try SettingRange.check(options.batchSize, SettingRange.batchSize, "--batch-size")
        try SettingRange.check(options.repeats, SettingRange.steps, "--repeats")
        let loaded = try LoadedModel(
            path: path, overrides: LoadedModel.Overrides(imageSize: options.imageSize, normalize: "none"))
        let module = loaded.imported.module
        if !options.unfreeze.isEmpty { try module.unfreeze(matching: options.unfreeze) }
        for case let norm as BatchNorm2d in module.modules() {
            norm.frozenStatistics = norm.weight?.requiresGrad != true
        }
        module.train(!options.unfreeze.isEmpty)
        let model = try CutModel(module, imageSize: loaded.imageSize)
        let side = loaded.preprocessing.imageSize
        var random = RandomSource(seed: 0)
        let images = try NDArray.randomNormal(
            [options.batchSize, loaded.input.channels, side, side], from: &random)
        let labels = (0..<options.batchSize).map { _ in random.integer(below: loaded.classCount) }
        let input = try loaded.input.arrange(images)
        let loss = CrossEntropyLoss()
        let optimizer =
            options.unfreeze.isEmpty
            ? nil : try SGD(module.parameters().filter(\.requiresGrad), learningRate: 1e-3, momentum: 0.9)
        let times = try measure(options) {
            guard let optimizer else {
                _ = try noGrad { try model.logits(try model.features(input)) }
                return
            }
            optimizer.zeroGrad()
            try loss(try model.logits(try model.features(input)), labels).backward()
            try optimizer.step()
        } afterFirst: {
            loaded.imported.releasePages()
        }
        let sorted = times.sorted()
        return Result(
            msPerImageMin: sorted[0], msPerImageMedian: sorted[sorted.count / 2], peakRssMb: ProcessMemory.peakMegabytes
        )
    }

    /// Milliseconds per picture of each repeat.
    private static func measure(
        _ options: Options, _ step: () throws -> Void, afterFirst: () -> Void
    ) rethrows -> [Double] {
        for index in 0..<options.warmup {
            try step()
            if index == 0 { afterFirst() }
        }
        let clock = ContinuousClock()
        return try (0..<max(options.repeats, 1)).map { _ in
            let elapsed = try clock.measure(step)
            return elapsed / .milliseconds(1) / Double(options.batchSize)
        }
    }
}
