import Foundation
import TensorCore
import TestSupport
import Testing

/// Every subset of the axes of an array of `rank` axes.
private func subsets(_ rank: Int) -> [[Int]] {
    (0..<(1 << rank)).map { mask in (0..<rank).filter { mask >> $0 & 1 == 1 } }
}

private func reduced(_ x: Reference, _ axes: [Int], keepDims: Bool, _ body: ([Double]) -> Double) -> Reference {
    var groups: [[Int]: [Double]] = [:]
    for (index, value) in zip(allIndices(x.shape), x.values) {
        groups[index.indices.map { axes.contains($0) ? 0 : index[$0] }, default: []].append(value)
    }
    let kept = x.shape.indices.map { axes.contains($0) ? 1 : x.shape[$0] }
    let values = allIndices(kept).map { body(groups[$0] ?? []) }
    return Reference(keepDims ? kept : x.shape.indices.filter { !axes.contains($0) }.map { x.shape[$0] }, values)
}

private let shapes: [[Int]] = [
    [], [1], [7], [70], [2, 3], [3, 1, 4], [2, 3, 4, 5], [5, 300], [300, 5], [2, 1, 33, 1, 3],
]

struct ReductionTests {
    @Test(arguments: [DType.float32, .float64, .float16, .int64, .int8])
    func allAxes(_ dtype: DType) throws {
        let tolerances: [DType: Double] = [.float32: 1e-6, .float64: 1e-14, .float16: 2e-3]
        let tolerance = tolerances[dtype] ?? 0
        for shape in shapes {
            let x = randomArray(shape, dtype, seed: 5, scale: dtype.isInteger ? 3 : 1)
            let reference = Reference(x)
            for axes in subsets(shape.count) {
                for keepDims in [false, true] {
                    func check(_ result: NDArray, _ name: String, _ body: @escaping ([Double]) -> Double) {
                        let expected = reduced(reference, axes, keepDims: keepDims, body).array(dtype)
                        let problem = difference(result, expected, rtol: tolerance, atol: tolerance)
                        #expect(problem == nil, "\(name) \(shape) \(axes)")
                    }
                    check(try x.sum(axes: axes, keepDims: keepDims), "sum") { $0.reduce(0, +) }
                    check(try x.mean(axes: axes, keepDims: keepDims), "mean") { $0.reduce(0, +) / Double($0.count) }
                    check(try x.max(axes: axes, keepDims: keepDims), "max") { $0.max() ?? .nan }
                    check(try x.min(axes: axes, keepDims: keepDims), "min") { $0.min() ?? .nan }
                    if dtype != .int8 {
                        check(try x.sumOfSquares(axes: axes, keepDims: keepDims), "squares") { values in
                            values.map { $0 * $0 }.reduce(0, +)
                        }
                        check(try x.prod(axes: axes, keepDims: keepDims), "prod") { $0.reduce(1, *) }
                    }
                }
            }
        }
    }

    @Test func negativeAxes() throws {
        let x = randomArray([2, 3, 4])
        #expect(try x.sum(axes: [-1, 0], keepDims: false).isBitIdentical(to: x.sum(axes: [0, 2], keepDims: false)))
        #expect(throws: ShapeError("ReduceSum", "axis 3 is outside an array of 3 axes")) {
            try x.sum(axes: [3], keepDims: false)
        }
        #expect(throws: ShapeError.self) { try x.sum(axes: [1, -2], keepDims: false) }
    }

    @Test func emptyArrays() throws {
        let x = NDArray.zeros([2, 0, 3])
        #expect(try x.sum(axes: [1], keepDims: true).elements(as: Float.self) == [0, 0, 0, 0, 0, 0])
        #expect(try x.prod(axes: [1], keepDims: false).elements(as: Float.self) == [1, 1, 1, 1, 1, 1])
        #expect(try x.mean(axes: [0, 1, 2], keepDims: false).item().isNaN)
        #expect(try x.sum(axes: [0], keepDims: false).shape == [0, 3])
        #expect(try x.max(axes: [0], keepDims: false).shape == [0, 3])
        #expect(throws: ShapeError.self) { try x.max(axes: [1], keepDims: false) }
        #expect(throws: ShapeError.self) { try x.argMax(axis: 1, keepDims: false) }
        #expect(try x.argMax(axis: 0, keepDims: false).shape == [0, 3])
        #expect(throws: ShapeError.self) { try x.converted(to: .int32).mean(axes: [1], keepDims: false) }
    }

    @Test func nanAndInfinity() throws {
        for position in [0, 5, 40, 69] {
            var values = (0..<70).map { Float($0) }
            values[position] = .nan
            let x = NDArray(values)
            #expect(try x.max(axes: [0], keepDims: false).item().isNaN)
            #expect(try x.min(axes: [0], keepDims: false).item().isNaN)
            #expect(try x.argMax(axis: 0, keepDims: false).item() == Double(position))
            #expect(try x.argMin(axis: 0, keepDims: false).item() == Double(position))
            let column = x.reshaped([35, 2])
            #expect(try column.max(axes: [0], keepDims: false).doubles()[position % 2].isNaN)
        }
        #expect(try NDArray([-Float.infinity, -.infinity]).max(axes: [0], keepDims: false).item() == -.infinity)
    }

    @Test func argExtremes() throws {
        let x = NDArray([3, 7, 7, 1, 1, 7], shape: [2, 3])
        #expect(try x.argMax(axis: 1, keepDims: false).elements(as: Int64.self) == [1, 2])
        #expect(try x.argMax(axis: -1, keepDims: true, selectLast: true).elements(as: Int64.self) == [2, 2])
        #expect(try x.argMax(axis: 1, keepDims: true).shape == [2, 1])
        #expect(try x.argMin(axis: 1, keepDims: false).elements(as: Int64.self) == [0, 0])
        #expect(try x.argMin(axis: 1, keepDims: false, selectLast: true).elements(as: Int64.self) == [0, 1])
        #expect(try x.argMax(axis: 0, keepDims: false).elements(as: Int64.self) == [0, 0, 0])
        #expect(
            try x.converted(to: .float16).argMax(axis: 0, keepDims: false, selectLast: true).integers() == [0, 0, 1])
    }

    @Test func boolsCount() throws {
        let x = NDArray([true, false, true, true], shape: [2, 2])
        let sum = try x.sum(axes: [0, 1], keepDims: false)
        #expect(sum.dtype == .int64 && sum.item() == 3)
        #expect(try x.max(axes: [1], keepDims: false).elements(as: Bool.self) == [true, true])
        #expect(try x.min(axes: [1], keepDims: false).elements(as: Bool.self) == [false, true])
    }

    @Test func integerMeanTruncates() throws {
        let x = NDArray([Int8(-7), 2, 100, 127], shape: [2, 2])
        #expect(try x.mean(axes: [1], keepDims: false).elements(as: Int8.self) == [-2, 113])
        #expect(try x.sum(axes: [1], keepDims: false).elements(as: Int8.self) == [-5, -29])
    }

    /// Summing the same number many times in float32 loses digits unless the accumulator is wider.
    @Test func longSumsStayAccurate() throws {
        let x = NDArray.full([3_000_001], 0.1)
        let expected = Double(Float(0.1)) * 3_000_001
        #expect(Swift.abs(try x.sum(axes: [0], keepDims: false).item() / expected - 1) < 1e-7)
        let y = NDArray.full([100_000, 7], 0.1)
        let columns = try y.mean(axes: [0], keepDims: false)
        #expect(difference(columns, NDArray.full([7], 0.1), rtol: 1e-6) == nil)
        let z = randomArray([40, 30, 50, 20], .float32)
        let sum = try z.sum(axes: [0, 2], keepDims: false)
        let expectedSum = reduced(Reference(z), [0, 2], keepDims: false) { $0.reduce(0, +) }
        #expect(difference(sum, expectedSum.array(.float32), rtol: 1e-6, atol: 1e-6) == nil)
    }

    /// The long-reduction path must not depend on the number of threads.
    @Test func piecesGiveTheSameBits() throws {
        let x = randomArray([700_000], .float32)
        let first = try x.sumOfSquares(axes: [0], keepDims: false)
        #expect(relativeError(first, NDArray(scalar: x.l2NormSquared(), dtype: .float32)) < 1e-6)
        let expected = x.doubles().reduce(0) { $0 + $1 * $1 }
        #expect(Swift.abs(x.l2NormSquared() / expected - 1) < 1e-12)
        let largest = try x.max(axes: [0], keepDims: false).item()
        #expect(largest == x.doubles().max())
    }

    @Test func sumsToShape() throws {
        let x = randomArray([2, 3, 4])
        for target in [[2, 3, 4], [3, 4], [4], [], [1], [1, 4], [3, 1], [2, 1, 1], [1, 1, 1]] {
            let offset = 3 - target.count
            let axes = (0..<3).filter { $0 < offset || target[$0 - offset] == 1 }
            let expected = reduced(Reference(x), axes, keepDims: true) { $0.reduce(0, +) }.array().reshaped(target)
            #expect(difference(try x.sumToShape(target), expected, rtol: 1e-14, atol: 1e-14) == nil, "\(target)")
        }
        #expect(throws: ShapeError("SumToShape", "shape [2] does not broadcast to [2, 3, 4]")) {
            try x.sumToShape([2])
        }
        #expect(try NDArray.zeros([0, 3]).sumToShape([1, 3]).elements(as: Float.self) == [0, 0, 0])
    }

    @Test(arguments: [DType.float32, .float64])
    func softmax(_ dtype: DType) throws {
        let tolerance = dtype == .float32 ? 2e-6 : 1e-13
        for shape in [[5], [3, 4], [2, 3, 70], [2, 100, 1], [1, 1], [3, 1000]] {
            let x = randomArray(shape, dtype, seed: 9, scale: 8)
            for axis in -shape.count..<shape.count {
                for log in [false, true] {
                    let position = axis < 0 ? axis + shape.count : axis
                    let reference = Reference(x)
                    let maxima = reduced(reference, [position], keepDims: true) { $0.max() ?? 0 }
                    let sums = reduced(reference, [position], keepDims: true) { values in
                        let top = values.max() ?? 0
                        return values.reduce(0) { $0 + exp($1 - top) }
                    }
                    let expected = Reference(shape) { index in
                        let shifted = reference[index] - maxima.broadcast(index)
                        return log
                            ? shifted - Foundation.log(sums.broadcast(index)) : exp(shifted) / sums.broadcast(index)
                    }
                    let y = try x.softmax(axis: axis, log: log)
                    let problem = difference(y, expected.array(dtype), rtol: tolerance, atol: tolerance)
                    #expect(problem == nil, "\(shape) \(axis) \(log)")

                    let g = randomArray(shape, dtype, seed: 10)
                    let gradient = try NDArray.softmaxGradient(output: y, gradOutput: g, axis: axis, log: log)
                    let (ry, rg) = (Reference(y), Reference(g))
                    let terms = Reference(shape) { log ? rg[$0] : rg[$0] * ry[$0] }
                    let total = reduced(terms, [position], keepDims: true) { $0.reduce(0, +) }
                    let expectedGradient = Reference(shape) { index in
                        log
                            ? rg[index] - exp(ry[index]) * total.broadcast(index)
                            : ry[index] * (rg[index] - total.broadcast(index))
                    }
                    let issue = difference(
                        gradient, expectedGradient.array(dtype), rtol: tolerance * 5, atol: tolerance * 5)
                    #expect(issue == nil, "gradient \(shape) \(axis) \(log)")
                }
            }
        }
        let extremes = NDArray([Float(1000), -1000, 1000]).converted(to: dtype)
        #expect(difference(try extremes.softmax(axis: 0), NDArray([0.5, 0, 0.5]).converted(to: dtype)) == nil)
        #expect(throws: ShapeError.self) { try NDArray([1, 2]).softmax(axis: 0) }
        #expect(try NDArray.zeros([0, 3]).softmax(axis: 0).shape == [0, 3])
    }
}
