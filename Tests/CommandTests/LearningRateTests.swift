import FineTune
import Foundation
import TestSupport
import Testing

/// `finetune lr-find`.
@Suite struct LearningRateTests {
    @Test func findsALearningRate() throws {
        let folder = try Scratch()
        let run = try Program.run(["lr-find", "--model", Program.tiny, "--output", folder / "plot.svg", "--json"])
        #expect(run.status == 0, "\(run.errors)")
        let report = try run.json()
        // The tutorial's 0.001 reaches .9 on these digits, 0.1 reaches .97, 100 never learns.
        let suggestion = try #require(report["suggestion"] as? Double)
        #expect(suggestion > 1e-4 && suggestion < 1)
        #expect(run.output.contains("Suggestion: --lr"))
        let points = try #require(report["points"] as? [[String: Any]])
        let rates = points.compactMap { $0["learning_rate"] as? Double }
        #expect(rates.first == 1e-6 && zip(rates, rates.dropFirst()).allSatisfy { $0 < $1 })
        #expect(xmlError(try folder.text("plot.svg")) == nil)

        let refused = try Program.run(["lr-find", "--model", Program.tiny, "--from", "1", "--to", "0.1"])
        #expect(refused.status == 2 && refused.errors.contains("--from, --to"))
    }
}
