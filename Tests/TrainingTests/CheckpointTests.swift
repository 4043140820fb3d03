import Autograd
import Files
import Foundation
import NN
import TensorCore
import TestSupport
import Testing

@testable import Training

/// Runs that are broken off and gone on with end as if nothing had happened.
@Suite struct CheckpointTests {
    /// What a checkpoint has to carry differs from one to the next.
    static let settings: [RunSettings] = [
        .tiny { $0.unfreeze = ["fc"] },
        .tiny {
            $0.unfreeze = ["last:3"]
            $0.augment = .tutorial
            $0.optimizer = "adamw"
        },
        .tiny {
            $0.batchNorm = .train
            $0.unfreeze = ["last:2"]
            $0.clipNorm = 1
        },
        .tiny {
            $0.unfreezeAt = ["2:last:3"]
            $0.learningRates = LearningRates(0.01, layers: [.init("fc", 0.05)])
            $0.schedule = "warmup:2+cosine"
        },
        // Has a Dropout between the two.
        .tiny {
            $0.model = TestFiles.fixtures.appendingPathComponent("oracles/opset9-attributes/model.onnx").path
            $0.data = TestFiles.package.appendingPathComponent("models/resnet-tiny-data").path
            $0.unfreeze = ["conv2", "fc"]
        },
    ]

    /// Epochs have twelve batches of training and three of validation.
    @Test(arguments: [(0, 3), (1, 31), (1, 13), (2, 44), (3, 14), (3, 20), (4, 17)])
    func endsWithTheSameBits(index: Int, batches: Int) throws {
        let settings = CheckpointTests.settings[index]
        let whole = try FineTuneRun(settings)
        try whole.trainer.run()

        struct Stop: Error {}
        let folder = try TemporaryFolder()
        let broken = try FineTuneRun(settings)
        var seen = 0
        #expect(throws: Stop.self) {
            try broken.trainer.run(onBatch: { _ in
                seen += 1
                guard seen == batches else { return }
                try broken.trainer.checkpoint().write(to: folder / "c", run: "r", previousName: "p")
                throw Stop()
            })
        }
        let resumed = try FineTuneRun(settings)
        try resumed.trainer.restore(Checkpoint(path: folder / "c", run: "r"))
        try resumed.trainer.run()
        #expect(resumed.trainer.history.map(\.numbers) == whole.trainer.history.map(\.numbers))
        #expect(resumed.trainer.best?.epoch == whole.trainer.best?.epoch)
        for ((value, a), (_, b)) in zip(resumed.module.state(), whole.module.state()) {
            #expect(a.array.isBitIdentical(to: b.array), "\(whole.module.graph.values[value].name)")
        }
    }

    @Test func damageIsNoticedWhereverItIs() throws {
        let folder = try TemporaryFolder()
        let run = try FineTuneRun(CheckpointTests.settings[0])
        try run.trainer.checkpoint().write(to: folder / "c", run: "r", previousName: "p")
        let good = try #require(FileManager.default.contents(atPath: folder / "c"))
        for position in stride(from: 0, to: good.count, by: 97) {
            var bytes = good
            bytes[position] ^= 4
            try bytes.write(to: URL(fileURLWithPath: folder / "damaged"))
            #expect(throws: CheckpointError.self, "byte \(position)") {
                try Checkpoint(path: folder / "damaged", run: "r")
            }
        }
        try good.prefix(good.count / 2).write(to: URL(fileURLWithPath: folder / "half"))
        #expect(throws: CheckpointError.self) { try Checkpoint(path: folder / "half", run: "r") }
        #expect(throws: CheckpointError.otherRun(path: folder / "c")) { try Checkpoint(path: folder / "c", run: "s") }
        #expect(throws: CheckpointError.self) {
            try FineTuneRun(CheckpointTests.settings[1]).trainer.restore(Checkpoint(path: folder / "c", run: "r"))
        }
    }

    @Test func aDamagedCheckpointFallsBackToTheOneBefore() throws {
        let folder = try TemporaryFolder()
        var settings = CheckpointTests.settings[0]
        settings.epochs = 2
        let session = try RunSession.begin(settings, output: folder / "run")
        let whole = try session.train()
        let checkpoint = folder / "run/last.checkpoint"
        let bytes = try #require(FileManager.default.contents(atPath: checkpoint))
        let best = FileManager.default.contents(atPath: whole.output)
        try bytes.dropLast(5).write(to: URL(fileURLWithPath: checkpoint))
        #expect(throws: FileError(folder / "run", .inUse)) { try RunSession.resume(folder / "run") }
        withExtendedLifetime(session) {}
        let copy = folder / "copy"
        try FileManager.default.copyItem(atPath: folder / "run", toPath: copy)
        let resumed = try RunSession.resume(copy)
        #expect(resumed.notes.contains { $0.contains("damaged checkpoint") })
        #expect(resumed.run.trainer.history.count == 1)
        #expect(FileManager.default.contents(atPath: try resumed.train().output) == best)
    }

    /// What a checkpoint takes does not grow with the epochs behind it, and each finds them where they are.
    @Test func epochsAreAppended() throws {
        let folder = try TemporaryFolder()
        var settings = CheckpointTests.settings[0]
        settings.epochs = 6
        var sizes: [Int] = []
        let session = try RunSession.begin(settings, output: folder / "run")
        let run = folder / "run"
        func bytes(_ name: String) throws -> Data {
            try #require(FileManager.default.contents(atPath: "\(run)/\(name)"))
        }
        let whole = try session.train(onEpoch: { _ in
            // The one of the epoch before.
            sizes.append(FileManager.default.contents(atPath: "\(run)/last.checkpoint")?.count ?? 0)
        })
        let history = session.run.trainer.history
        #expect(try bytes("epochs.jsonl").count(where: { $0 == 10 }) == 6)
        #expect(Set(sizes.dropFirst(2).map { $0 / 512 }).count == 1, "\(sizes)")
        let best = FileManager.default.contents(atPath: whole.output)

        // Without the log, the history has the same numbers; with neither, the checkpoint is of no use.
        for (number, damage) in ["", "epochs.jsonl", "history.csv", "both"].enumerated() {
            let copy = folder / "copy-\(number)"
            try FileManager.default.copyItem(atPath: run, toPath: copy)
            for name in ["epochs.jsonl", "history.csv"] where damage == name || damage == "both" {
                try Data("gone".utf8).write(to: URL(fileURLWithPath: "\(copy)/\(name)"))
            }
            let resumed = try RunSession.resume(copy)
            #expect(resumed.problems.isEmpty == (damage != "both"))
            #expect(resumed.run.trainer.history.count == (damage == "both" ? 0 : 6))
            #expect(FileManager.default.contents(atPath: try resumed.train().output) == best)
            #expect(resumed.run.trainer.history.map(\.numbers) == history.map(\.numbers))
        }
    }

    /// Lines that a killed process wrote without the checkpoint that counts on them go when the next come.
    @Test func linesThatNoCheckpointCountsOnGo() throws {
        let folder = try TemporaryFolder()
        func record(_ epoch: Int, _ loss: Double) -> EpochRecord {
            EpochRecord(
                epoch: epoch, train: PhaseResult(loss: loss, accuracy: 0.1),
                val: PhaseResult(loss: 1e-17, accuracy: 1.0 / 3),
                learningRate: 0.001, seconds: 1.23456)
        }
        let path = folder / "epochs.jsonl"
        func lineCount() -> Int { FileManager.default.contents(atPath: path)?.count { $0 == 10 } ?? 0 }
        var log = try EpochLog(folder: folder / "", [])
        let first = try log.extend(to: [record(1, 0.5), record(2, 0.25)])
        _ = try log.extend(to: [record(1, 0.5), record(2, 0.25), record(3, 0.125)])
        #expect(lineCount() == 3)
        #expect(EpochLog.records(first, in: folder / "") == [record(1, 0.5), record(2, 0.25)])
        var again = try EpochLog(folder: folder / "", [record(1, 0.5), record(2, 0.25)])
        let second = try again.extend(to: [record(1, 0.5), record(2, 0.25), record(3, 0.1), record(4, 9)])
        #expect(lineCount() == 4)
        #expect(EpochLog.records(second, in: folder / "")?.map(\.train.loss) == [0.5, 0.25, 0.1, 9])
        #expect(EpochLog.records(second.replacing("4 ", with: "3 "), in: folder / "") == nil)
        #expect(EpochRecord(row: record(7, 1 / 3).row)?.numbers == record(7, 1 / 3).numbers)
        #expect(EpochRecord(row: "1,2,3") == nil && EpochRecord(row: "x,1,1,1,1,1,1") == nil)
    }

    /// Pictures are read behind the back of training, and the run's own words say what they contain in the end.
    @Test func runsNameTheirPictures() throws {
        let folder = try TemporaryFolder()
        var settings = CheckpointTests.settings[0]
        settings.epochs = 1
        let session = try RunSession.begin(settings, output: folder / "run")
        _ = try session.train()
        let named = try session.folder.record()
        #expect(named.data == (try RunRecord(FineTuneRun(settings)).data) && named.namesContents)
        // As a process leaves it that was killed before it knew.
        var early = named
        (early.data.train.sha256, early.data.val.sha256, early.outcome) = (nil, nil, nil)
        let copy = folder / "early"
        try FileManager.default.createDirectory(atPath: copy, withIntermediateDirectories: true)
        try early.json().write(toFile: copy + "/run.json", atomically: true, encoding: .utf8)
        #expect(!(try early.json().contains("\"sha256\" : null")))
        let resumed = try RunSession.resume(copy)
        #expect(resumed.record.data == named.data)
    }

    @Test func changedModelsAndPicturesAreRefused() throws {
        let folder = try TemporaryFolder()
        let manager = FileManager.default
        try manager.copyItem(atPath: RunSettings.tinyModel, toPath: folder / "m.onnx")
        try manager.copyItem(
            atPath: TestFiles.package.appendingPathComponent("models/resnet-tiny-data").path, toPath: folder / "m-data")
        var settings = RunSettings(model: folder / "m.onnx")
        settings.epochs = 1
        settings.featureCache = "off"
        _ = try RunSession.begin(settings, output: folder / "run").train()

        let picture = folder / "m-data/val/7/" + (try manager.contentsOfDirectory(atPath: folder / "m-data/val/7")[0])
        let other = folder / "m-data/val/8/" + (try manager.contentsOfDirectory(atPath: folder / "m-data/val/8")[0])
        let original = try #require(manager.contents(atPath: picture))
        try #require(manager.contents(atPath: other)).write(to: URL(fileURLWithPath: picture))
        #expect(throws: ResumeError.picturesChanged(source: folder / "m-data", part: .val)) {
            try RunSession.resume(folder / "run")
        }
        try original.write(to: URL(fileURLWithPath: picture))
        _ = try RunSession.resume(folder / "run")

        var model = try #require(manager.contents(atPath: folder / "m.onnx"))
        // The model's metadata is text at its end; another digit there is another model.
        model[model.count - 3] ^= 1
        try model.write(to: URL(fileURLWithPath: folder / "m.onnx"))
        #expect(throws: (any Error).self) { try RunSession.resume(folder / "run") }
    }

    @Test func aLossThatIsNoNumberStopsAndKeepsTheBest() throws {
        let folder = try TemporaryFolder()
        let session = try RunSession.begin(CheckpointTests.settings[2], output: folder / "run")
        var stopped: NotFinite?
        do {
            _ = try session.train(onEpoch: { _ in session.run.trainer.optimizer.learningRate = 1e30 })
        } catch TrainingError.notFinite(let report) {
            stopped = report
        }
        let report = try #require(stopped)
        #expect(report.epoch == 2 && report.bestEpoch == 1)
        #expect(session.exported?.epoch == 1)
        #expect(FileManager.default.fileExists(atPath: folder / "run/best.onnx"))
    }

    @Test func theFirstPlaceThatIsNotFiniteIsNamed() throws {
        let run = try FineTuneRun(CheckpointTests.settings[1])
        let layers = run.unfrozen.names.map { String($0.prefix { $0 != "." }) }
        let parameters = run.module.namedParameters().filter { $0.parameter.requiresGrad }
        #expect(layers.count == parameters.count)
        for (name, parameter) in parameters.reversed() {
            try noGrad { try parameter.mutate { $0 = .full($0.shape, .infinity) } }
            do {
                try run.trainer.run()
                Issue.record("no error with \(name)")
            } catch TrainingError.notFinite(let report) {
                #expect(report.place.hasPrefix(name), "\(name): \(report)")
            }
        }
    }

    @Test func patienceStopsEarly() throws {
        var settings = CheckpointTests.settings[0]
        settings.epochs = 40
        settings.patience = 2
        settings.learningRate = 1e-9
        let run = try FineTuneRun(settings)
        try run.trainer.run()
        #expect(run.trainer.history.count == 3)
    }

    @Test func ratesBelongToLayers() throws {
        var settings = CheckpointTests.settings[0]
        settings.unfreeze = ["last:3"]
        settings.learningRates = try LearningRates(text: "0.001,last:3=0.01,fc=0.1")
        let run = try FineTuneRun(settings)
        let rates = run.trainer.optimizer.groups.map { ($0.learningRate, $0.parameters.compactMap(\.name)) }
        #expect(rates.map(\.0) == [0.01, 0.1])
        #expect(rates[1].1 == ["fc.weight", "fc.bias"])
        #expect(rates[0].1.count == 4)

        settings.learningRates = try LearningRates(text: "fcc=0.1")
        #expect(throws: ParameterPatternError.self) { try FineTuneRun(settings) }
        settings.unfreeze = ["fc"]
        settings.learningRates = try LearningRates(text: "last:3=0.1,conv1=0.1")
        #expect(throws: SettingError.self) { try FineTuneRun(settings) }
        #expect(throws: SettingError.self) { try LearningRates(text: "fc=fast") }
    }

    @Test func layersJoinWithTheirOwnRateWhereTheScheduleIs() throws {
        let run = try FineTuneRun(CheckpointTests.settings[3])
        #expect(run.trainer.optimizer.groups.count == 1)
        try run.trainer.run()
        let groups = run.trainer.optimizer.groups
        #expect(groups.map(\.name) == ["fc", nil])
        #expect(groups.map { $0.parameters.count } == [2, 4])
        // One schedule for both.
        #expect(abs(groups[0].learningRate / 0.05 - groups[1].learningRate / 0.01) < 1e-12)
    }

    @Test func settingsBecomeOptionsAndJSON() throws {
        var settings = CheckpointTests.settings[3]
        settings.seed = .max
        settings.keepHead = true
        #expect(
            try settings.arguments() == [
                "--model", RunSettings.tinyModel, "--unfreeze-at", "2:last:3", "--epochs", "3", "--batch-size", "64",
                "--lr",
                "0.01,fc=0.05", "--schedule", "warmup:2+cosine", "--seed", "18446744073709551615", "--keep-head",
                "--feature-cache", "off",
            ])
        #expect(try JSONDecoder().decode(RunSettings.self, from: JSONEncoder().encode(settings)) == settings)
    }
}

extension EpochRecord {
    /// Everything but the time it took.
    fileprivate var numbers: [Double] { [train.loss, train.accuracy, val.loss, val.accuracy, learningRate] }
}

extension RunSettings {
    static let tinyModel = TestFiles.package.appendingPathComponent("models/resnet-tiny.onnx").path

    /// Three short epochs of twelve training and three validation batches of the bundled digits.
    static func tiny(_ change: (inout RunSettings) -> Void) -> RunSettings {
        var settings = RunSettings(model: tinyModel)
        settings.epochs = 3
        settings.batchSize = 64
        settings.featureCache = "off"
        change(&settings)
        return settings
    }
}

/// A folder that goes away with the test.
private final class TemporaryFolder {
    private let path = FileManager.default.temporaryDirectory.appendingPathComponent("finetune-\(UUID().uuidString)")
        .path

    init() throws { try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true) }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    static func / (folder: TemporaryFolder, name: String) -> String { folder.path + "/" + name }
}
