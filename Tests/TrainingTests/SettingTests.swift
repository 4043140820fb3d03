import Autograd
import Foundation
import NN
import ONNX
import TensorCore
import TestSupport
import Testing

@testable import Training

/// Settings and models that no run can be made of, and sweeps that end early.
@Suite struct SettingTests {
    private static let folder = FileManager.default.temporaryDirectory.appendingPathComponent("finetune-\(UUID())").path

    @Test func twoRatesWithoutALayerAreRefused() throws {
        #expect(throws: SettingError.self) { try LearningRates(text: "0.1,0.01") }
        #expect(try LearningRates(text: "fc=0.1,0.01") == LearningRates(0.01, layers: [.init("fc", 0.1)]))
    }

    @Test(arguments: ["1:fc", "4:fc", "fc"]) func layersJoinInAnEpochThatThereIs(text: String) throws {
        var settings = CheckpointTests.settings[0]
        settings.unfreezeAt = [text]
        #expect(throws: SettingError.self) { try settings.check() }
        settings.unfreezeAt = ["3:last:2"]
        try settings.check()
    }

    /// A schedule after a warm-up has the epochs that are left.
    @Test(arguments: [("cosine", 6), ("onecycle", 6), ("warmup:2+cosine", 6), ("warmup:2+onecycle", 6)])
    func schedulesEndWithTheRun(schedule: String, epochs: Int) throws {
        var settings = CheckpointTests.settings[0]
        (settings.schedule, settings.epochs) = (schedule, epochs)
        let made = try settings.makeSchedule()
        let rates = (0..<epochs).map { made.learningRate(step: $0, initial: 1) }
        #expect(rates[epochs - 1] < 0.15 && rates.max() ?? 0 > 0.6, "\(rates)")
    }

    @Test func whatIsTrainableDependsOnTheEpoch() throws {
        let run = try FineTuneRun(CheckpointTests.settings[3])
        let (first, later) = (run.trainable(inEpoch: 1), run.trainable(inEpoch: 2))
        #expect(first == run.unfrozen && Set(later.names).isSuperset(of: first.names))
        #expect(try later.elements > first.elements && RunRecord(run).trainable.names == later.names)
        for (epoch, report) in [(1, first), (3, later)] {
            let metadata = try run.metadata(Trainer.Best(epoch: epoch, accuracy: 1, state: StateDict()))
            #expect(metadata.first { $0.key == "finetune.unfrozen" }?.value == report.names.joined(separator: ","))
        }
    }

    @Test func numbersHaveBounds() throws {
        let changes: [(inout RunSettings) -> Void] = [
            { $0.epochs = .max }, { $0.batchSize = .max }, { $0.threads = -1 }, { $0.patience = 0 },
            { $0.featureCacheLimit = .max }, { $0.clipNorm = .infinity },
            { $0.featureCache = "" }, { ($0.optimizer, $0.momentum) = ("adam", 0.5) }, { $0.valFraction = 1 },
            { $0.weightDecay = .infinity },
            { $0.schedule = "warmup:9223372036854775807+onecycle" },
        ]
        for change in changes {
            var settings = CheckpointTests.settings[0]
            try settings.check()
            change(&settings)
            #expect(throws: SettingError.self, "\(settings)") { try settings.check() }
        }
    }

    @Test func wordsOfACommandAreTakenForWhatTheyAre() throws {
        var settings = RunSettings(model: "-m.onnx")
        settings.data = "my pictures"
        #expect(try settings.command() == "finetune --model=-m.onnx --data 'my pictures'")
    }

    @Test func suggestedRatesKeepTheirProportions() throws {
        let rates = try LearningRates(text: "0.1,fc=0.001")
        #expect("\(rates.scaled(to: 0.074))" == "0.074,fc=0.00074")
    }

    @Test func aModelWithValuesThatAreNoNumbersIsRefused() throws {
        let manager = FileManager.default
        try manager.createDirectory(atPath: SettingTests.folder, withIntermediateDirectories: true)
        defer { try? manager.removeItem(atPath: SettingTests.folder) }
        let path = SettingTests.folder + "/nan.onnx"
        let model = try ImportedModel(path: RunSettings.tinyModel)
        try model.module.unfreeze(matching: ["fc"])
        let bias = try #require(model.module.parameter("fc.bias"))
        try noGrad { try bias.mutate { $0 = .full($0.shape, .nan) } }
        try model.write(to: path)
        let error = try #require(throws: ONNXError.self) { try LoadedModel(path: path) }
        #expect(error.description.hasPrefix("\(path): 'fc.bias' holds values that are not finite"), "\(error)")
    }

    @Test func pathsOfARecordLeadFromItsFolder() {
        let there = TestFiles.package.appendingPathComponent("models").path
        #expect(RunRecord.located("resnet-tiny.onnx", from: there) == there + "/resnet-tiny.onnx")
        #expect(RunRecord.located("no-such-model.onnx", from: there) == "no-such-model.onnx")
        #expect(RunRecord.located("/resnet-tiny.onnx", from: there) == "/resnet-tiny.onnx")
    }

    @Test func aSweepThatIsStoppedKeepsWhatIsComplete() throws {
        let base = RunSettings.tiny {
            $0.unfreeze = ["fc"]
            $0.epochs = 1
        }
        let sweep = Sweep(base: base, axes: [], seeds: [0, 1])
        var complete = 0
        let result = try sweep.run(stop: { complete > 0 ? SIGTERM : nil }, onTrial: { _ in complete += 1 })
        #expect(result.runCount == 1 && result.winner != nil)
        #expect((result.interruption as? RunStopped)?.signal == SIGTERM)
        #expect(throws: RunStopped.self) { try sweep.run(stop: { SIGINT }) }

        // Two sweeps of one name: neither loses its results.
        let manager = FileManager.default
        let folder = SettingTests.folder + "-sweeps"
        try manager.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? manager.removeItem(atPath: folder) }
        let name = folder + "/sweep"
        var (first, second) = (try SweepFolder(free: name), try SweepFolder(free: name))
        #expect(!manager.fileExists(atPath: name))
        try first.write(result, of: sweep)
        try second.write(result, of: sweep)
        #expect(first.path == name && second.path != name)
        #expect(try [first, second].allSatisfy { try manager.contentsOfDirectory(atPath: $0.path).count == 4 })
    }
}
