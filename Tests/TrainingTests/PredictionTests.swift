import Foundation
import GraphIR
import ONNX
import TensorCore
import TestSupport
import Testing
import Vision

@testable import Training

@Suite struct PredictionTests {
    @Test(arguments: [1, 2, 5, 31, 32, 50, 80]) func theLargestAreThoseOfSorting(count: Int) {
        var random = RandomSource(seed: UInt64(count))
        for size in [1, 3, 50] {
            // Few different values: equal ones keep their order.
            let values = (0..<size).map { _ in Double(random.integer(below: 7)) / 7 }
            let sorted = values.indices.sorted { (values[$1], $0) < (values[$0], $1) }
            #expect(Predictor.largest(count, of: values) == Array(sorted.prefix(count)))
        }
        #expect(Predictor.largest(0, of: [1, 2]).isEmpty && Predictor.largest(3, of: []).isEmpty)
    }

    @Test func predictionsComeABatchAtATime() throws {
        let root = TestFiles.package.appendingPathComponent("models/resnet-tiny-data/val").path
        let paths = Array(try PictureFiles.find([root]).pictures.prefix(40))
        let predictor = try Predictor(LoadedModel(path: RunSettings.tinyModel))
        var pieces: [[Predictor.Prediction]] = []
        let skipped = try predictor.predict(paths, top: 2, onPredictions: { pieces.append($0) })
        let whole = try predictor.predict(paths, top: 2).predictions
        #expect(skipped.isEmpty && pieces.count > 1 && whole.map(\.file) == paths)
        let format = PredictionFormat.csv
        #expect(try [format.header(top: 2)] + pieces.joined().map(format.line) == format.lines(whole, top: 2))
    }

    /// Weights inside of a file are looked at no more than those beside it.
    @Test func inspectionReadsNoWeights() throws {
        let whole = try Inspection(path: RunSettings.tinyModel, planBatch: 1)
        var outline = try Inspection(path: RunSettings.tinyModel)
        outline.plan = whole.plan
        #expect(try JSONEncoder().encode(outline).count == JSONEncoder().encode(whole).count)
        #expect(outline.lines == whole.lines)
        let file = try ModelFile.read(RunSettings.tinyModel)
        let (blank, read) = (try file.graph(ImportOptions(readsWeights: false)), try file.graph())
        let large = read.constants.filter { $0.value.byteCount >= 1 << 14 }
        #expect(!large.isEmpty && blank.constants.mapValues(\.shape) == read.constants.mapValues(\.shape))
        for (value, array) in read.constants {
            let other = try #require(blank.constants[value])
            let isZero = other.dtype == .float32 && other.elements(as: Float.self).allSatisfy { $0 == 0 }
            #expect(large[value] != nil ? isZero : other.isBitIdentical(to: array))
        }
    }
}
