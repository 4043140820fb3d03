import Foundation
import TestSupport
import Testing

@testable import Training

@Suite struct ConfusionTests {
    @Test func countsAndRatios() {
        let pairs: [(Int, Int)] = [(0, 0), (0, 0), (0, 1), (1, 1), (1, 0), (1, 0), (2, 0)]
        let outcomes = pairs.map { RunReport.Outcome(path: "", label: $0.0, guess: $0.1, probability: 1) }
        let confusion = Confusion(classCount: 4, outcomes)
        let expected: [[Int]] = [[2, 1, 0], [2, 1, 0], [1, 0, 0]]
        for (truth, row) in expected.enumerated() {
            for (guess, count) in row.enumerated() { #expect(confusion[truth, guess] == count) }
        }
        let totals = [3, 3, 1, 0]
        let recalls: [Double?] = [2.0 / 3, 1.0 / 3, 0, nil]
        let precisions: [Double?] = [0.4, 0.5, nil, nil]
        let scores: [Double?] = [0.5, 0.4, 0, nil]
        for label in 0..<4 {
            #expect(confusion.total(label) == totals[label])
            #expect(confusion.recall(label) == recalls[label])
            #expect(confusion.precision(label) == precisions[label])
            #expect(confusion.f1(label) == scores[label])
        }
        let mistakes: [[Int]] = confusion.mistakes.map { [$0.pair.truth, $0.pair.guess, $0.count] }
        let ranked: [[Int]] = [[1, 0, 2], [0, 1, 1], [2, 0, 1]]
        #expect(mistakes == ranked)
    }
}

@Suite struct CommandTextTests {
    @Test func onlyWhatDiffersFromTheDefaults() throws {
        var settings = RunSettings(model: "a model.onnx")
        #expect(try settings.command() == "finetune --model 'a model.onnx'")
        settings.data = "it's/here"
        settings.unfreeze = ["fc", "layer4.*.conv2"]
        settings.learningRate = 0.1
        settings.keepHead = true
        settings.seed = .max
        #expect(
            try settings.command() == "finetune --model 'a model.onnx' --data 'it'\\''s/here' --unfreeze fc "
                + "--unfreeze 'layer4.*.conv2' --lr 0.1 --seed 18446744073709551615 --keep-head")
        #expect(try settings.commandWords().count == 8)
    }
}
