/// How often each class was taken for each.
public struct Confusion: Sendable {
    /// Two classes and how often the first was taken for the second.
    public struct Pair: Sendable, Hashable {
        public var truth: Int
        public var guess: Int
    }

    public let classCount: Int
    public private(set) var counts: [Pair: Int] = [:]
    private var truths: [Int]
    private var guesses: [Int]

    public init(classCount: Int, _ outcomes: [RunReport.Outcome]) {
        self.classCount = classCount
        truths = [Int](repeating: 0, count: classCount)
        guesses = truths
        for outcome in outcomes {
            counts[Pair(truth: outcome.label, guess: outcome.guess), default: 0] += 1
            truths[outcome.label] += 1
            guesses[outcome.guess] += 1
        }
    }

    public subscript(truth: Int, guess: Int) -> Int { counts[Pair(truth: truth, guess: guess)] ?? 0 }

    /// Pictures of a class.
    public func total(_ label: Int) -> Int { truths[label] }

    /// Part of a class's pictures that were recognised: TP / (TP + FN); nil without pictures.
    public func recall(_ label: Int) -> Double? {
        truths[label] == 0 ? nil : Double(self[label, label]) / Double(truths[label])
    }

    /// Part of the guesses of a class that were right: TP / (TP + FP); nil without guesses.
    public func precision(_ label: Int) -> Double? {
        guesses[label] == 0 ? nil : Double(self[label, label]) / Double(guesses[label])
    }

    /// The harmonic mean of both: 2 TP / (2 TP + FP + FN); nil when the class neither occurs nor is guessed.
    public func f1(_ label: Int) -> Double? {
        let sum = truths[label] + guesses[label]
        return sum == 0 ? nil : 2 * Double(self[label, label]) / Double(sum)
    }

    /// Wrong pairs, the most frequent first.
    public var mistakes: [(pair: Pair, count: Int)] {
        counts.filter { $0.key.truth != $0.key.guess }.map { (pair: $0.key, count: $0.value) }.sorted {
            ($1.count, $0.pair.truth, $0.pair.guess) < ($0.count, $1.pair.truth, $1.pair.guess)
        }
    }
}
