import Foundation
import TensorCore
import TestSupport
import Testing

@testable import Vision

@Suite("Batch loader")
struct BatchLoaderTests {
    /// Eleven pictures of two classes; the files' content differs.
    private func dataset(in folder: TemporaryFolder, count: Int = 11) throws -> PictureDataset {
        for index in 0..<count {
            let name = "\(index % 2 == 0 ? "even" : "odd")/\(100 + index).png"
            try folder.write(name, noisePNG(width: 12 + index, height: 10, seed: UInt64(index)))
        }
        return try PictureDataset.imageFolder(folder.path)
    }

    private func batches(_ loader: BatchLoader, epoch: Int) throws -> [Batch] {
        let epoch = loader.epoch(epoch)
        var batches: [Batch] = []
        while let batch = try epoch.next() { batches.append(batch) }
        #expect(try epoch.next() == nil)
        return batches
    }

    @Test("an epoch visits every picture once, in order, with its label")
    func order() throws {
        let folder = try TemporaryFolder()
        let dataset = try dataset(in: folder)
        let loader = try BatchLoader(
            dataset, transform: .evaluation(side: 8), configuration: .init(batchSize: 4))
        let all = try batches(loader, epoch: 0)
        #expect(loader.batchCount == 3)
        #expect(all.map(\.images.shape) == [[4, 3, 8, 8], [4, 3, 8, 8], [3, 3, 8, 8]])
        #expect(all.flatMap(\.indices) == Array(0..<11))
        #expect(all.flatMap(\.labels) == dataset.samples.map(\.label))

        var random = RandomSource(seed: 0)
        let transform = try Transform.evaluation(side: 8)
        for (index, sample) in dataset.samples.enumerated() {
            let expected = transform(try Picture(contentsOf: sample.path), using: &random)
            let row = all[index / 4].images.rows(index % 4..<index % 4 + 1).reshaped([3, 8, 8])
            #expect(row.isBitIdentical(to: expected), "\(sample.path)")
        }
    }

    @Test("seed and epoch decide order and augmentation; workers, prefetch and cache do not")
    func determinism() throws {
        let folder = try TemporaryFolder()
        let dataset = try dataset(in: folder)
        func run(seed: UInt64, workers: Int, prefetch: Int, cache: Int) throws -> [[Batch]] {
            let loader = try BatchLoader(
                dataset, transform: .training(side: 8),
                configuration: .init(
                    batchSize: 3, shuffle: true, seed: seed, workers: workers, prefetch: prefetch, cacheBytes: cache))
            return try (0..<3).map { try batches(loader, epoch: $0) }
        }
        let reference = try run(seed: 7, workers: 0, prefetch: 0, cache: 0)
        for (workers, prefetch, cache) in [(1, 1, 0), (2, 2, 1 << 20), (4, 8, 900)] {
            let other = try run(seed: 7, workers: workers, prefetch: prefetch, cache: cache)
            for (a, b) in zip(reference.joined(), other.joined()) {
                #expect(a.indices == b.indices && a.labels == b.labels)
                #expect(a.images.isBitIdentical(to: b.images))
            }
        }
        for epoch in reference { #expect(epoch.flatMap(\.indices).sorted() == Array(0..<11)) }
        #expect(reference[0].flatMap(\.indices) != reference[1].flatMap(\.indices))
        let different = try run(seed: 8, workers: 2, prefetch: 2, cache: 0)
        #expect(different[0].flatMap(\.indices) != reference[0].flatMap(\.indices))
    }

    @Test("a picture's augmentation changes with the epoch only")
    func augmentation() throws {
        let folder = try TemporaryFolder()
        let loader = try BatchLoader(
            dataset(in: folder), transform: .training(side: 8), configuration: .init(batchSize: 2, seed: 3))
        let first = try #require(try loader.batch(at: [4, 2, 9], epoch: 1))
        let again = try #require(try loader.batch(at: [9, 4], epoch: 1))
        let later = try #require(try loader.batch(at: [4], epoch: 2))
        #expect(first.indices == [4, 2, 9] && again.indices == [9, 4])
        #expect(again.images.rows(1..<2).isBitIdentical(to: first.images.rows(0..<1)))
        #expect(!later.images.isBitIdentical(to: first.images.rows(0..<1)))
    }

    @Test("dropLast leaves out the batch that is not full")
    func dropLast() throws {
        let folder = try TemporaryFolder()
        let loader = try BatchLoader(
            dataset(in: folder), transform: .evaluation(side: 8), configuration: .init(batchSize: 4, dropLast: true))
        #expect(loader.batchCount == 2)
        #expect(try batches(loader, epoch: 0).map(\.count) == [4, 4])
    }

    @Test("a bad picture ends the epoch, or is skipped and noted")
    func badPictures() throws {
        let folder = try TemporaryFolder()
        let dataset = try dataset(in: folder)
        for index in [3, 8, 9, 10] {
            try Data(Fixtures.bytes("420.jpg").prefix(700)).write(to: URL(fileURLWithPath: dataset.samples[index].path))
        }
        let failing = try BatchLoader(
            dataset, transform: .evaluation(side: 8), configuration: .init(batchSize: 2, workers: 3))
        let epoch = failing.epoch(0)
        #expect(try epoch.next()?.indices == [0, 1])
        let error = try #require(throws: PictureError.self) { try epoch.next() }
        #expect(error.path == dataset.samples[3].path)

        let skipping = try BatchLoader(
            dataset, transform: .evaluation(side: 8), configuration: .init(batchSize: 2, badPictures: .skip))
        let all = try batches(skipping, epoch: 0)
        #expect(all.map(\.indices) == [[0, 1], [2], [4, 5], [6, 7]])
        #expect(all[1].images.shape == [1, 3, 8, 8])
        #expect(all[1].labels == [dataset.samples[2].label])
        #expect(skipping.skipped.map(\.path) == [3, 8, 9, 10].map { dataset.samples[$0].path })
        #expect(try skipping.batch(at: [8, 9]) == nil)
        let reference = try #require(try failing.batch(at: [2]))
        #expect(all[1].images.isBitIdentical(to: reference.images))
    }

    @Test("pictures of open size are refused, pictures of another size named")
    func sizes() throws {
        let folder = try TemporaryFolder()
        let dataset = try dataset(in: folder)
        let open = try BatchLoader(dataset, transform: Transform([], normalization: .none))
        #expect(open.pictureSize == PictureSize(width: 12, height: 10))
        let error = try #require(throws: PictureError.self) { try batches(open, epoch: 0) }
        #expect(error.path == dataset.samples[1].path)
        #expect(error.reason == .wrongSize("is 14 x 10 pixels after the transform; the batch has 12 x 10"))
        let empty = PictureDataset(source: "nothing", classes: ["a", "b"], samples: [])
        #expect(throws: TransformError.self) {
            try BatchLoader(empty, transform: Transform([], normalization: .none))
        }
    }

    @Test("the cache keeps to its budget and serves what it has")
    func cache() throws {
        let folder = try TemporaryFolder()
        let dataset = try dataset(in: folder)
        let cache = PictureCache(maxBytes: 1000)
        for index in 0..<11 {
            let path = dataset.samples[index].path
            _ = try cache.picture(index) { () throws(PictureError) in try Picture(contentsOf: path) }
        }
        #expect((600...1000).contains(cache.byteCount))
        let loader = try BatchLoader(
            dataset, transform: .training(side: 8), configuration: .init(batchSize: 11, cacheBytes: 1 << 20))
        let before = try #require(try loader.epoch(0).next())
        for sample in dataset.samples { try FileManager.default.removeItem(atPath: sample.path) }
        let after = try #require(try loader.epoch(0).next())
        #expect(before.images.isBitIdentical(to: after.images))
    }

    @Test("leaving an epoch early stops loading and releases its memory")
    func abandoned() throws {
        let folder = try TemporaryFolder()
        let dataset = try dataset(in: folder, count: 40)
        weak var released: BatchLoader?
        do {
            let loader = try BatchLoader(
                dataset, transform: .training(side: 64), configuration: .init(batchSize: 2, workers: 3, prefetch: 8))
            released = loader
            for number in 0..<20 { _ = try loader.epoch(number).next() }
        }
        // A worker may still be busy with the picture it had begun.
        for _ in 0..<200 where released != nil { usleep(10_000) }
        #expect(released == nil)
    }
}
