/// Loss and accuracy over one pass.
public struct PhaseResult: Codable, Sendable, Equatable {
    /// Mean of the loss over pictures.
    public var loss: Double
    /// Fraction of pictures whose largest logit is the right class.
    public var accuracy: Double

    public init(loss: Double, accuracy: Double) {
        self.loss = loss
        self.accuracy = accuracy
    }
}

/// Running statistics of a pass: `loss` is weighted by batch size, as in the tutorial.
public struct PhaseStatistics: Codable, Sendable, Equatable {
    /// Right and all pictures of a class.
    public struct ClassCount: Codable, Sendable, Equatable {
        public var correct = 0
        public var total = 0
    }

    private var lossSum = 0.0
    public private(set) var correct = 0
    public private(set) var count = 0
    public private(set) var perClass: [Int: ClassCount] = [:]

    public init() {}

    /// Adds a batch with its mean loss, predictions and labels.
    public mutating func add(loss: Double, predictions: [Int], labels: [Int]) {
        lossSum += loss * Double(labels.count)
        count += labels.count
        for (prediction, label) in zip(predictions, labels) {
            let hit = prediction == label ? 1 : 0
            correct += hit
            perClass[label, default: ClassCount()].correct += hit
            perClass[label, default: ClassCount()].total += 1
        }
    }

    public var result: PhaseResult {
        PhaseResult(
            loss: count == 0 ? 0 : lossSum / Double(count), accuracy: count == 0 ? 0 : Double(correct) / Double(count))
    }
}

/// One epoch of a run.
public struct EpochRecord: Codable, Sendable, Equatable {
    /// Counted from 1.
    public var epoch: Int
    public var train: PhaseResult
    public var val: PhaseResult
    public var learningRate: Double
    public var seconds: Double

    public init(epoch: Int, train: PhaseResult, val: PhaseResult, learningRate: Double, seconds: Double) {
        self.epoch = epoch
        self.train = train
        self.val = val
        self.learningRate = learningRate
        self.seconds = seconds
    }
}
