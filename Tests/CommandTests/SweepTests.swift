import FineTune
import Foundation
import TestSupport
import Testing

/// `finetune sweep`.
@Suite struct SweepTests {
    @Test func ranksSettingsAndExportsTheBest() throws {
        let folder = try Scratch()
        let run = try Program.run([
            "sweep", "--model", Program.tiny, "--lr", "0.1,0.001", "--unfreeze", "fc", "--seeds", "3,4", "--epochs",
            "2",
            "--output", folder / "sweep", "--json",
        ])
        #expect(run.status == 0, "\(run.errors)")
        let report = try run.json()
        let ranking = try #require(report["ranking"] as? [[String: Any]])
        let rates = ranking.compactMap { ($0["settings"] as? [String: String])?["lr"] }
        #expect(rates == ["0.1", "0.001"])
        let accuracies = ranking.compactMap { $0["accuracies"] as? [Double] }
        #expect(accuracies.map(\.count) == [2, 2])
        let mean = try #require(ranking[0]["mean"] as? Double)
        #expect(abs(mean - (accuracies[0][0] + accuracies[0][1]) / 2) < 1e-12)
        let spread = try #require(ranking[0]["spread"] as? Double)
        #expect(abs(spread - abs(accuracies[0][0] - accuracies[0][1]) / 2.0.squareRoot()) < 1e-12)

        // A run of a sweep is the run that it would be alone.
        let alone = try Program.run([
            "--model", Program.tiny, "--lr", "0.1", "--unfreeze", "fc", "--seed", "4", "--epochs", "2", "--output",
            folder / "alone", "--json",
        ]).json()
        #expect(alone["best_val_accuracy"] as? Double == accuracies[0][1])
        let scored = try Program.run([
            "evaluate", "--model", folder / "sweep/best.onnx", "--data", Program.digits, "--json",
        ])
        #expect(try scored.json()["accuracy"] as? Double == accuracies[0].max())

        let rows = try folder.text("sweep/sweep.csv").split(separator: "\n")
        #expect(rows.first == "rank,lr,seed,val_accuracy,val_loss,epoch,seconds,failure")
        #expect(rows.count == 5 && rows[1].hasPrefix("1,0.1,3,") && rows[4].hasPrefix("2,0.001,4,"))
        let page = try folder.text("sweep/sweep.html")
        #expect(xmlError(page) == nil)
        #expect(!page.contains("http:") && !page.contains("https:") && !page.contains("<script"))
        let record =
            try JSONSerialization.jsonObject(with: Data(try folder.text("sweep/sweep.json").utf8)) as? [String: Any]
        #expect((record?["settings"] as? [Any])?.count == 2)
    }

    @Test func aRunThatBreaksOffComesLast() throws {
        let folder = try Scratch()
        let run = try Program.run([
            "sweep", "--model", Program.tiny, "--lr", "1e38,0.01", "--epochs", "1", "--output", folder / "sweep",
            "--json",
        ])
        #expect(run.status == 0, "\(run.errors)")
        let ranking = try #require(try run.json()["ranking"] as? [[String: Any]])
        #expect(ranking.map { ($0["accuracies"] as? [Double])?.count } == [1, 0])
        #expect(try folder.text("sweep/sweep.html").contains("Runs that broke off"))
    }

    @Test(arguments: [
        (["--lr", "0.1,fast"], "--lr: 'fast'"), (["--seeds", "-1"], "--seeds"),
        (["--unfreeze", "fc", "--unfreeze", "fcc"], "'fc'"),
        (["--optimizer", "sgd,sdg"], "--optimizer"),
    ])
    func mistakesStopASweepBeforeItStarts(arguments: [String], text: String) throws {
        let folder = try Scratch()
        let run = try Program.run(["sweep", "--model", Program.tiny, "--output", folder / "sweep"] + arguments)
        #expect(run.status == 2 && run.errors.contains(text), "\(run.errors)")
        #expect(!FileManager.default.fileExists(atPath: folder / "sweep"))
    }
}
