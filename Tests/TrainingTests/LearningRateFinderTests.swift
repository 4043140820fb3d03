import Foundation
import NN
import TestSupport
import Testing

@testable import Training

@Suite struct LearningRateFinderTests {
    @Test func suggestsTheSteepestDescent() {
        // The loss is flat, falls as a tangent hyperbolic around 1e-3, is lowest near 1e-1 and explodes.
        let points = (0..<80).map { step -> LearningRateFinder.Point in
            let rate = 1e-6 * pow(10, Double(step) * 0.08)
            let loss = 2 - tanh(2 * log10(rate / 1e-3)) + pow(rate, 2)
            return .init(learningRate: rate, loss: loss, smoothed: loss)
        }
        let finder = LearningRateFinder(points: points)
        let steepest = finder.steepest ?? 0
        #expect(abs(log10(steepest / 1e-3)) < 0.1, "\(steepest)")
        let tenth = finder.tenthOfMinimum ?? 0
        let lowest = points.min { $0.loss < $1.loss }?.learningRate ?? 0
        #expect(tenth == lowest / 10)
        #expect(finder.suggestion ?? 0 <= min(steepest, tenth) * 1.05)
    }

    @Test func suggestsNothingWhenTheLossOnlyGrows() {
        let points = (1...50).map {
            LearningRateFinder.Point(learningRate: Double($0), loss: Double($0), smoothed: Double($0))
        }
        #expect(LearningRateFinder(points: points).suggestion == nil)
        #expect(LearningRateFinder(points: []).suggestion == nil)
    }

    @Test func putsTheWeightsBack() throws {
        var settings = RunSettings(model: TestFiles.package.appendingPathComponent("models/resnet-tiny.onnx").path)
        settings.unfreeze = ["layer3", "fc"]
        settings.batchNorm = .train
        let run = try FineTuneRun(settings)
        let before = run.module.stateDict()
        var options = LearningRateFinder.Options()
        options.steps = 20
        let finder = try LearningRateFinder(run, options: options)
        #expect(finder.points.count > 10)
        let after = run.module.stateDict()
        #expect(before.names == after.names)
        for (value, array) in before { #expect(after[value]?.isBitIdentical(to: array) == true) }
        let optimizer = run.trainer.optimizer.stateDict()
        #expect(optimizer.scalars["group/0/learning_rate"] == settings.learningRate)
        #expect(optimizer.arrays.isEmpty)
    }
}
