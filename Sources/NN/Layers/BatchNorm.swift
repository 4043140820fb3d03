import Autograd
import Operators
import TensorCore

/// Batch normalisation: y = (x − mean) / √(variance + epsilon) · weight + bias for every channel of x `[N, C, ...]`.
///
/// In training mode mean and variance are the batch's (the variance divided by the number of elements), and the running
/// statistics move towards them: running ← (1 − momentum) · running + momentum · batch, where the variance that enters is
/// divided by the number of elements minus one. In evaluation mode they are the running ones. ONNX's momentum is 1 minus this
/// one. What `BatchNorm1d` and `BatchNorm2d` have in common; they differ in the shapes that they take.
///
/// Freezing the parameters does not stop the statistics from moving; `frozenStatistics` does.
public class BatchNorm: Module {
    /// The scale of each channel, `[C]`; nil without `affine`.
    public let weight: Parameter?
    /// `[C]`; nil without `affine`.
    public let bias: Parameter?
    public let runningMean: Buffer
    public let runningVar: Buffer
    /// How many batches moved the running statistics; nil for a layer that does not count them.
    public let numBatchesTracked: Buffer?
    public let epsilon: Double
    /// Weight of the new batch in the running statistics; nil averages over all batches alike and needs the count.
    public internal(set) var momentum: Double?
    /// Uses the running statistics and leaves them alone in training mode too; `train()` does not change this.
    public var frozenStatistics = false

    /// True when it normalises with the batch's statistics.
    var followsBatch: Bool { isTraining && !frozenStatistics }

    /// A layer that scales by 1 and shifts by 0 at first.
    public init(
        _ channels: Int, epsilon: Double = 1e-5, momentum: Double? = 0.1, affine: Bool = true, dtype: DType = .float32
    ) {
        weight = affine ? Parameter(NDArray.ones([channels], dtype: dtype)) : nil
        bias = affine ? Parameter(NDArray.zeros([channels], dtype: dtype)) : nil
        runningMean = Buffer(.zeros([channels], dtype: dtype))
        runningVar = Buffer(.ones([channels], dtype: dtype))
        numBatchesTracked = Buffer(NDArray(scalar: 0 as Int64))
        self.epsilon = epsilon
        self.momentum = momentum
    }

    /// A layer with given weights and statistics, all `[C]`, which does not count batches.
    ///
    /// Throws `ModuleError.invalidArgument` when they do not fit each other.
    public init(
        weight: Parameter?, bias: Parameter?, runningMean: Buffer, runningVar: Buffer, epsilon: Double = 1e-5,
        momentum: Double = 0.1
    ) throws {
        self.weight = weight
        self.bias = bias
        self.runningMean = runningMean
        self.runningVar = runningVar
        self.epsilon = epsilon
        self.momentum = momentum
        numBatchesTracked = nil
        super.init()
        let all: [(String, Tensor?)] = [
            ("weight", weight), ("bias", bias), ("runningMean", runningMean), ("runningVar", runningVar),
        ]
        for case (let name, let tensor?) in all {
            try require(
                tensor.shape == [runningMean.count], name, "must be [\(runningMean.count)], got \(tensor.shape)")
        }
    }

    public var channels: Int { runningMean.count }

    public override var members: Members {
        [
            "weight": weight, "bias": bias, "running_mean": runningMean, "running_var": runningVar,
            "num_batches_tracked": numBatchesTracked,
        ]
    }

    public override func forward(_ x: Tensor) throws -> Tensor {
        let (y, statistics) = try batchNorm(
            x, scale: weight, bias: bias, mean: runningMean.array, variance: runningVar.array,
            training: followsBatch, epsilon: epsilon)
        if let statistics { try follow(statistics) }
        return y
    }

    /// Moves the running statistics towards a batch's; once only where a checkpoint runs the surrounding code again.
    func follow(_ batch: BatchStatistics) throws { try onceInCheckpoint { try noGrad { try track(batch) } } }

    private func track(_ batch: BatchStatistics) throws {
        try numBatchesTracked?.mutate { $0 = NDArray(scalar: Int64($0.integers()[0]) + 1) }
        let factor = momentum ?? 1 / (numBatchesTracked?.item() ?? 1)
        let unbiased = Double(batch.count) / Double(batch.count - 1)
        for (running, new, correction) in [(runningMean, batch.mean, 1), (runningVar, batch.variance, unbiased)] {
            let step = new.converted(to: running.dtype)
            try running.mutate {
                $0.scaleInPlace(1 - factor)
                try $0.addInPlace(step, scale: factor * correction)
            }
        }
    }

    public override var extraDescription: String {
        "\(channels), eps=\(number(epsilon)), momentum=\(momentum.map(number) ?? "None"), "
            + "affine=\(python(weight != nil)), track_running_stats=True" + (frozenStatistics ? ", frozen=True" : "")
    }

    public override func emptyCopy() throws -> Module { BatchNorm(copying: self) }

    /// As `layer`, for `emptyCopy`.
    init(copying layer: BatchNorm) {
        weight = layer.weight?.twin()
        bias = layer.bias?.twin()
        runningMean = Buffer(layer.runningMean.array)
        runningVar = Buffer(layer.runningVar.array)
        numBatchesTracked = layer.numBatchesTracked.map { Buffer($0.array) }
        epsilon = layer.epsilon
        momentum = layer.momentum
    }
}

/// `BatchNorm` of pictures `[N, C, H, W]`. Source: `torch.nn.BatchNorm2d`.
public final class BatchNorm2d: BatchNorm {
    public override func emptyCopy() throws -> Module { BatchNorm2d(copying: self) }
}

/// `BatchNorm` of features `[N, C]` or of sequences `[N, C, L]`. Source: `torch.nn.BatchNorm1d`.
public final class BatchNorm1d: BatchNorm {
    public override func forward(_ x: Tensor) throws -> Tensor {
        guard x.rank == 2 || x.rank == 3 else {
            throw ShapeError("BatchNorm1d", "expected [N, \(channels)] or [N, \(channels), L], got \(x.shape)")
        }
        return try super.forward(x)
    }

    public override func emptyCopy() throws -> Module { BatchNorm1d(copying: self) }
}
