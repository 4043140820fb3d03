import Files
import Foundation
import GraphIR
import NN
import Operators
import TensorCore
import TestSupport
import Testing
import Vision

@testable import Training

/// Values of frozen layers are computed once, found again by content, and never used when anything they depend on has
/// changed.
@Suite struct FeatureCacheTests {
    @Test func aLaterRunFindsTheSameBits() throws {
        let bench = try Bench()
        let first = try bench.run(cached: true)
        let second = try bench.run(cached: true)
        #expect(first.counts == [0, 10])
        #expect(second.counts == [10, 0])
        #expect(first.values.count == 10 && second.values == first.values)
        #expect(try bench.run(cached: false).values == first.values)
    }

    /// Products of matrices round in another order for another number of pictures.
    @Test func valuesOutOfAGemmAreFoundAgain() throws {
        var graph = Graph()
        let x = graph.addValue("x", declared: .init(.float32, [.symbolic("N"), .fixed(1), .fixed(32), .fixed(32)]))
        graph.inputs = [x]
        var random = RandomSource(seed: 1)
        func node(_ op: any Operator, _ inputs: [ValueID]) -> ValueID {
            let output = graph.addValue("v\(graph.values.count)")
            graph.nodes.append(
                Graph.Node(
                    name: "n\(output)", op: op, inputs: inputs, outputs: [output],
                    attributes: NodeAttributes(opType: type(of: op).opType, opset: 13)))
            return output
        }
        func weight(_ name: String, _ shape: [Int]) throws -> ValueID {
            let id = graph.addValue(name)
            graph.constants[id] = try NDArray.randomUniform(shape, -1, 1, from: &random)
            return id
        }
        let hidden = node(Op.Gemm(), [node(Op.Flatten(), [x]), try weight("hidden.weight", [1024, 50])])
        graph.outputs = [node(Op.Gemm(), [hidden, try weight("fc.weight", [50, 2])])]
        let bench = try Bench(graph)
        let first = try bench.run(cached: true)
        let second = try bench.run(cached: true)
        #expect(second.counts == [10, 0])
        #expect(second.values == first.values)
    }

    @Test func aBatchSizeOfMillionsIsAllPictures() throws {
        let bench = try Bench()
        let stream = try bench.stream(augmentation: .none, batchSize: 1 << 40)
        #expect(try Bench.batches(try stream.epoch(1)).map(\.indices.count) == [10])
    }

    @Test func streamsOfOneProcessShare() throws {
        let bench = try Bench()
        let store = FeatureStore()
        let first = try bench.run(store)
        let second = try bench.run(store)
        #expect(second.counts == [10, 10])
        #expect(second.values == first.values)
    }

    @Test func aChangedPictureIsComputedAgain() throws {
        let bench = try Bench()
        let before = try bench.run(cached: true)
        let path = bench.paths[3]
        let old = try FileManager.default.attributesOfItem(atPath: path)
        try FileManager.default.removeItem(atPath: path)
        try FileManager.default.copyItem(atPath: Bench.digits[77], toPath: path)
        try FileManager.default.setAttributes([.modificationDate: old[.modificationDate] as Any], ofItemAtPath: path)
        let after = try bench.run(cached: true)
        #expect(after.counts == [9, 1])
        #expect(after.values == (try bench.run(cached: false).values))
        #expect(after.values[3] != before.values[3] && after.values[4] == before.values[4])
    }

    @Test func aPictureOlderThanTimeItself() throws {
        let bench = try Bench()
        try FileManager.default.setAttributes(
            [.modificationDate: Date(timeIntervalSince1970: -1e9)], ofItemAtPath: bench.paths[0])
        _ = try bench.run(cached: true)
        #expect(try bench.run(cached: true).counts == [10, 0])
    }

    @Test func overwrittenInPlaceWithItsTimeRestored() throws {
        let bench = try Bench()
        let path = bench.paths[0]
        let size = try #require(FileManager.default.contents(atPath: path)).count
        // The index trusts files only once they have been left alone for a while.
        let index = PictureIndex([path], known: nil, limits: DecodeLimits())
        try index.write(to: bench.folder / "index")
        #expect(!index.hasNews)
        let handle = try #require(FileHandle(forWritingAtPath: path))
        try handle.write(contentsOf: Data(repeating: 7, count: size))
        try handle.close()
        #expect(!index.isUnchanged(0))
        let again = PictureIndex([path], known: bench.folder / "index", limits: DecodeLimits())
        #expect(again.contents[0] != index.contents[0])
    }

    @Test func theIndexKnowsFilesThatHaveSettled() throws {
        let bench = try Bench()
        let paths = Array(Bench.digits.prefix(5))
        let index = PictureIndex(paths, known: nil, limits: DecodeLimits())
        #expect(index.hasNews && !index.contents.contains(nil))
        try index.write(to: bench.folder / "index")
        let again = PictureIndex(paths, known: bench.folder / "index", limits: DecodeLimits())
        #expect(!again.hasNews && again.contents == index.contents)
        try bench.folder.damage("index", at: -5)
        #expect(PictureIndex(paths, known: bench.folder / "index", limits: DecodeLimits()).hasNews)
    }

    @Test func aChangedTransformIsAnotherKey() throws {
        let bench = try Bench()
        _ = try bench.run(cached: true)
        let other = try bench.run(cached: true, normalize: "0.5/0.25")
        #expect(other.counts == [0, 10])
        #expect(other.values == (try bench.run(cached: false, normalize: "0.5/0.25").values))
        #expect(try bench.run(cached: true).counts == [10, 0])
    }

    @Test func onlyWhatLiesBeforeTheCutCounts() throws {
        let bench = try Bench()
        let plain = try bench.run(cached: true)
        let head = try bench.run(cached: true) { name in name.hasPrefix("fc.") }
        #expect(head.counts == [10, 0] && head.values == plain.values)
        let frozen = try bench.run(cached: true) { name in name == "conv1.weight" }
        #expect(frozen.counts == [0, 10] && frozen.values != plain.values)
        #expect(try bench.run(cached: true, unfreeze: ["last:2"]).counts == [0, 10])
    }

    @Test(arguments: [-3, 400, 9, nil]) func aDamagedEntryIsComputedAgain(at position: Int?) throws {
        let bench = try Bench()
        let before = try bench.run(cached: true)
        let block = try #require(bench.files.first)
        if let position {
            try bench.folder.damage("cache/features/\(block)", at: position)
        } else {
            let handle = try #require(FileHandle(forWritingAtPath: bench.folder / "cache/features/\(block)"))
            try handle.truncate(atOffset: 700)
            try handle.close()
        }
        let after = try bench.run(cached: true)
        #expect(after.counts == [0, 10] && after.values == before.values)
        #expect(try bench.run(cached: true).counts == [10, 0])
    }

    /// Of a large cache, what holds no picture of the run is neither checked nor touched.
    @Test func filesOfOtherPicturesStayClosed() throws {
        let bench = try Bench()
        let before = try bench.run(cached: true)
        let own = try #require(bench.files.first)
        let key = try bench.key()
        let digests = (0..<4).map { number -> SHA256.Digest in
            var hash = SHA256()
            hash.update([UInt8(number)])
            return hash.value
        }
        let column = NDArray.full([4, 16], 1, dtype: .float32)
        _ = try bench.cache.save(FeatureBlock(pictures: digests, columns: [column]), key: key)
        let other = try #require(bench.files.first { $0 != own })
        try bench.folder.damage("cache/features/\(other)", at: -3)
        let old = Date(timeIntervalSince1970: 1e9)
        for name in [own, other] {
            try FileManager.default.setAttributes(
                [.modificationDate: old], ofItemAtPath: bench.folder / "cache/features/\(name)")
        }
        let after = try bench.run(cached: true)
        #expect(after.counts == [10, 0] && after.values == before.values)
        let times = try [own, other].map {
            try FileManager.default.attributesOfItem(atPath: bench.folder / "cache/features/\($0)")[.modificationDate]
                as? Date
        }
        #expect(times[0] != old && times[1] == old)
    }

    /// What pictures contain is known without waiting for it, and to those who wait.
    @Test func aCensusGoesOnBehind() throws {
        let bench = try Bench()
        let store = FeatureStore(cache: bench.cache)
        let census = store.census(bench.paths)
        #expect(store.census(bench.paths) === census)
        let known = PictureIndex(bench.paths, known: nil, limits: DecodeLimits()).contents
        #expect(store.pictures(bench.paths).contents == known && !known.contains(nil))
        #expect(census.wait(seconds: 0) && census.index?.contents == known)
        #expect(store.pictures([]).contents.isEmpty)
    }

    /// An intact block that other kernels made: the first picture gives it away.
    @Test func otherKernelsValuesAreNotUsed() throws {
        let bench = try Bench()
        let before = try bench.run(cached: true)
        let name = try #require(bench.files.first)
        let path = bench.folder / "cache/features/\(name)"
        let key = try bench.key()
        let block = try #require(FeatureBlock.File(path, key: key)?.block())
        let off = block.columns.map { column in
            NDArray(column.elements(as: Float.self).map { $0 * 1.0001 }, shape: column.shape)
        }
        _ = try bench.cache.save(FeatureBlock(pictures: block.pictures, columns: off), key: key)
        let after = try bench.run(cached: true)
        #expect(after.counts == [0, 10] && after.values == before.values)
    }

    /// Two files under one key, of which only the second is another version's.
    @Test func everyFileIsCompared() throws {
        let bench = try Bench()
        let before = try bench.run(cached: true)
        let key = try bench.key()
        let name = try #require(bench.files.first)
        let block = try #require(FeatureBlock.File(bench.folder / "cache/features/\(name)", key: key)?.block())
        bench.cache = FeatureCache(folder: bench.folder / "other")
        for (rows, factor) in [(0..<4, Float(1)), (4..<10, 1.0001)] {
            let part = block.columns.map { column in
                let column = column.rows(rows)
                return NDArray(column.elements(as: Float.self).map { $0 * factor }, shape: column.shape)
            }
            _ = try bench.cache.save(FeatureBlock(pictures: Array(block.pictures[rows]), columns: part), key: key)
        }
        let after = try bench.run(cached: true)
        #expect(after.counts == [0, 10] && after.values == before.values)
    }

    @Test func filesStayWithinTheLimit() throws {
        let bench = try Bench()
        _ = try bench.run(cached: true)
        let size = bench.bytes
        bench.cache = FeatureCache(folder: bench.folder / "cache", byteLimit: size + size / 2)
        _ = try bench.run(cached: true, normalize: "0.5/0.25")
        #expect(bench.bytes <= size + size / 2)
        // The older one had to go.
        #expect(try bench.run(cached: true, normalize: "0.5/0.25").counts == [10, 0])
        #expect(try bench.run(cached: true).counts == [0, 10])
        bench.cache = FeatureCache(folder: bench.folder / "none", byteLimit: 100)
        let tight = try bench.run(cached: true)
        #expect(tight.counts == [0, 10] && tight.problem == nil)
        #expect(!bench.files.contains { $0.hasSuffix(".tmp") })
    }

    @Test func valuesThatFitNowhereAreComputedEachEpoch() throws {
        let bench = try Bench()
        let run = try bench.run(FeatureStore(memoryLimit: 100))
        #expect(run.counts == [0, 0])
        #expect(run.values == (try bench.run(cached: false).values))
    }

    @Test func aFolderThatCannotBeWrittenCostsOneLine() throws {
        let bench = try Bench()
        _ = FileManager.default.createFile(atPath: bench.folder / "file", contents: Data())
        bench.cache = FeatureCache(folder: bench.folder / "file/below")
        let run = try bench.run(cached: true)
        #expect(run.values == (try bench.run(cached: false).values))
        let problem = try #require(run.problem)
        #expect(problem.hasPrefix("feature cache not used: ") && !problem.contains("\n"))
    }

    @Test func whatKilledWritersLeftIsRemoved() throws {
        let bench = try Bench()
        try FileManager.default.createDirectory(
            atPath: bench.folder / "cache/features", withIntermediateDirectories: true)
        let name = "cache/features/.abc.safetensors.0123456789abcdef.tmp"
        _ = FileManager.default.createFile(atPath: bench.folder / name, contents: Data(count: 100))
        _ = try bench.run(cached: true)
        #expect(bench.files.count == 1, "\(bench.files)")
    }

    /// A folder that the user has already may hold files of theirs under `features`.
    @Test func filesOfOthersAreLeftAlone() throws {
        let bench = try Bench()
        bench.cache = FeatureCache(folder: bench.folder / "cache", byteLimit: 40_000)
        let theirs = bench.folder / "cache/features/notes"
        try FileManager.default.createDirectory(atPath: theirs, withIntermediateDirectories: true)
        for name in ["thesis.txt", "../weights.bin"] {
            try Data(count: 100_000).write(to: URL(fileURLWithPath: theirs + "/" + name))
        }
        _ = try bench.run(cached: true)
        #expect(FileManager.default.fileExists(atPath: theirs + "/thesis.txt"))
        #expect(bench.files.contains("weights.bin") && bench.files.count > 2)
    }

    @Test func standardFolder() {
        #expect(FeatureCache.standardFolder(["HOME": "/h", "XDG_CACHE_HOME": "/c"]) == "/c/finetune")
        #expect(FeatureCache.standardFolder(["HOME": "/h", "XDG_CACHE_HOME": "c"]) == "/h/.cache/finetune")
        #expect(FeatureCache.standardFolder(["HOME": "/h"]) == "/h/.cache/finetune")
        #expect(FeatureCache.standardFolder([:]) == nil)
    }
}

/// Batches of an augmented epoch go through the prefix several at a time.
@Suite struct LookAheadTests {
    @Test(arguments: [1, 3, 4, 7]) func anEpochFromTheMiddleIsTheRestOfTheWhole(batchSize: Int) throws {
        let bench = try Bench()
        let stream = try bench.stream(augmentation: .tutorial, batchSize: batchSize)
        let whole = try Bench.batches(try stream.epoch(2))
        #expect(whole.map(\.indices) == stream.loader.batches(ofEpoch: 2))
        for first in 0...whole.count {
            let rest = try Bench.batches(try stream.epoch(2, from: first))
            #expect(rest.map(\.indices) == whole.dropFirst(first).map(\.indices))
            #expect(rest.map(\.values) == whole.dropFirst(first).map(\.values))
        }
    }

    @Test func everyPictureHasTheValuesThatItHasAlone() throws {
        let bench = try Bench()
        let stream = try bench.stream(augmentation: .tutorial, batchSize: 3)
        for batch in try Bench.batches(try stream.epoch(1)) {
            let images = try #require(try stream.loader.batch(at: batch.indices, epoch: 1))
            let alone = try stream.features(of: images)
            #expect(batch.values == alone.map { $0.elements(as: Float.self) })
            #expect(batch.labels == images.labels)
        }
    }

    @Test func picturesThatCannotBeReadAreMissingFromTheirBatches() throws {
        let bench = try Bench()
        for index in [0, 4, 5] { try Data([0xFF, 0xD8, 0xFF, 1]).write(to: URL(fileURLWithPath: bench.paths[index])) }
        for augmentation in Augmentation.allCases {
            let stream = try bench.stream(augmentation: augmentation, batchSize: 2, badPictures: .skip)
            let batches = try Bench.batches(try stream.epoch(0))
            #expect(Set(batches.flatMap(\.indices)) == [1, 2, 3, 6, 7, 8, 9])
            #expect(batches.allSatisfy { batch in batch.labels == batch.indices.map { $0 % 2 } })
            #expect(stream.skipped.count == 3)
            // Values that are kept come in the same batches as those that are not.
            let readable = stream.loader.batches(ofEpoch: 0).map { $0.filter { ![0, 4, 5].contains($0) } }
            #expect(batches.map(\.indices) == readable.filter { !$0.isEmpty })
            for first in 0...5 {
                let rest = try Bench.batches(try stream.epoch(0, from: first))
                #expect(rest.map(\.indices) == readable.dropFirst(first).filter { !$0.isEmpty })
            }
            try stream.model.recut()
            _ = try stream.epoch(1)
            #expect(stream.skipped.count == 3)
        }
    }
}

/// Ten pictures, a small model, and a folder for their values.
private final class Bench {
    let folder: TestFolder
    let paths: [String]
    var cache: FeatureCache
    /// Instead of the model's.
    private let graph: Graph?

    static let digits: [String] = {
        let root = TestFiles.package.appendingPathComponent("models/resnet-tiny-data/train").path
        let names = (try? FileManager.default.subpathsOfDirectory(atPath: root)) ?? []
        return names.filter { $0.hasSuffix(".png") }.sorted().map { "\(root)/\($0)" }
    }()

    init(_ graph: Graph? = nil) throws {
        let folder = try TestFolder()
        self.folder = folder
        self.graph = graph
        cache = FeatureCache(folder: folder / "cache")
        paths = (0..<10).map { folder / "\($0).png" }
        for (path, digit) in zip(paths, Bench.digits) { try FileManager.default.copyItem(atPath: digit, toPath: path) }
    }

    /// Names of the cache's files, and their bytes together.
    var files: [String] {
        (try? FileManager.default.contentsOfDirectory(atPath: folder / "cache/features"))?.filter {
            !$0.hasPrefix("pictures")
        } ?? []
    }
    var bytes: Int {
        files.reduce(0) { $0 + (FileManager.default.contents(atPath: folder / "cache/features/\($1)")?.count ?? 0) }
    }

    /// What one pass over the pictures gives.
    struct Run {
        var values: [Int: [[Float]]]
        /// Pictures found and computed.
        var counts: [Int]
        var problem: String?
    }

    struct Values {
        var indices: [Int]
        var labels: [Int]
        var values: [[Float]]
    }

    func stream(
        augmentation: Augmentation, batchSize: Int = 4, badPictures: BatchLoader.BadPicturePolicy = .fail,
        normalize: String? = nil, unfreeze: [String] = ["fc"], store: FeatureStore = FeatureStore(),
        changing isChanged: (String) -> Bool = { _ in false }
    ) throws -> FeatureStream {
        let loaded = try LoadedModel(
            path: TestFiles.package.appendingPathComponent("models/resnet-tiny.onnx").path,
            overrides: LoadedModel.Overrides(normalize: normalize))
        let module = try graph.map { try GraphModule($0) } ?? loaded.imported.module
        for (name, parameter) in module.namedParameters() where isChanged(name) {
            try parameter.mutate { array in array.withMutableElements(as: Float.self) { $0[0] += 1 } }
        }
        try module.unfreeze(matching: unfreeze)
        module.setFrozenStatistics(true)
        module.train()
        let dataset = PictureDataset(
            source: folder.path, classes: ["even", "odd"],
            samples: paths.enumerated().map { PictureSample(path: $1, label: $0 % 2) })
        let loader = try BatchLoader(
            dataset, transform: loaded.preprocessing.training(augmentation),
            configuration: BatchLoader.Configuration(
                batchSize: batchSize, shuffle: true, seed: 5, badPictures: badPictures))
        return FeatureStream(loader, model: try CutModel(module), input: loaded.input, store: store)
    }

    func key() throws -> SHA256.Digest { try #require(try stream(augmentation: .none).key()) }

    /// A run of its own, as a later process would be one, with the cache or without.
    func run(
        cached: Bool, normalize: String? = nil, unfreeze: [String] = ["fc"],
        changing isChanged: (String) -> Bool = { _ in false }
    ) throws -> Run {
        try run(
            FeatureStore(cache: cached ? cache : nil), normalize: normalize, unfreeze: unfreeze, changing: isChanged)
    }

    func run(
        _ store: FeatureStore, normalize: String? = nil, unfreeze: [String] = ["fc"],
        changing isChanged: (String) -> Bool = { _ in false }
    ) throws -> Run {
        let stream = try stream(
            augmentation: .none, normalize: normalize, unfreeze: unfreeze, store: store, changing: isChanged)
        var values: [Int: [[Float]]] = [:]
        for batch in try Bench.batches(try stream.epoch(1)) {
            for (row, index) in batch.indices.enumerated() {
                values[index] = batch.values.map { all in
                    let size = all.count / batch.indices.count
                    return Array(all[row * size..<(row + 1) * size])
                }
            }
        }
        let counts = store.pictureCounts
        return Run(values: values, counts: [counts.found, counts.computed], problem: store.problem)
    }

    static func batches(_ epoch: FeatureEpoch) throws -> [Values] {
        var result: [Values] = []
        while let batch = try epoch.next() {
            result.append(
                Values(
                    indices: batch.indices, labels: batch.labels,
                    values: batch.features.map { $0.elements(as: Float.self) }))
        }
        return result
    }
}

/// A folder that goes away with the test.
private final class TestFolder {
    let path: String

    init() throws {
        path = FileManager.default.temporaryDirectory.appendingPathComponent("finetune-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    static func / (folder: TestFolder, name: String) -> String { folder.path + "/" + name }

    /// Changes one byte of a file; a negative position counts from the end.
    func damage(_ name: String, at position: Int) throws {
        let url = URL(fileURLWithPath: self / name)
        var bytes = [UInt8](try Data(contentsOf: url))
        bytes[position < 0 ? bytes.count + position : position] ^= 1
        try Data(bytes).write(to: url)
    }
}
