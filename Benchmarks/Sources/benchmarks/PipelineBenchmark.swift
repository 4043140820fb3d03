import ArgumentParser
import FineTune
import Foundation

/// How fast pictures become batches: decoding, cropping, resizing, normalising.
struct PipelineBenchmark: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pipeline", abstract: "Pictures of a folder of classes to batches.")
    @Option(help: "A folder with a folder of pictures per class.") var data = "models/resnet-tiny-data/train"
    @Option(help: "Side of the square input.") var imageSize = 224
    @Option(help: "Background threads.") var workers = 2

    func run() throws {
        let dataset = try PictureDataset.imageFolder(data)
        let preprocessing = Preprocessing(channels: 3, imageSize: imageSize, normalization: .imagenet)
        let transforms = [
            ("evaluation", try preprocessing.evaluation()), ("augmentation", try preprocessing.training(.tutorial)),
        ]
        for (name, transform) in transforms {
            for (from, cache) in [("files", 0), ("kept pictures", 1 << 30)] {
                let configuration = BatchLoader.Configuration(
                    batchSize: 32, workers: workers, cacheBytes: cache, badPictures: .skip)
                let loader = try BatchLoader(dataset, transform: transform, configuration: configuration)
                var epoch = 0
                let timing = try Timing.of(repeats: 3) {
                    let batches = loader.epoch(epoch)
                    while try batches.next() != nil {}
                    epoch += 1
                }
                let rate = Double(dataset.count) / timing.best
                print("\(name), from \(from): " + String(format: "%.0f pictures per second", rate))
            }
        }
    }
}
