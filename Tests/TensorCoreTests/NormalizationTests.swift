import Foundation
import TensorCore
import TestSupport
import Testing

struct NormalizationTests {
    private func dot(_ a: NDArray, _ b: NDArray) -> Double {
        zip(a.doubles(), b.doubles()).reduce(0) { $0 + $1.0 * $1.1 }
    }

    /// The derivative of `f` along `direction`, by central differences.
    private func slope(_ x: NDArray, _ direction: NDArray, _ f: (NDArray) throws -> Double) throws -> Double {
        var (above, below) = (x, x)
        try above.addInPlace(direction, scale: 1e-5)
        try below.addInPlace(direction, scale: -1e-5)
        return (try f(above) - f(below)) / 2e-5
    }

    static let shapes: [[Int]] = [[4, 3], [2, 3, 5], [2, 3, 4, 5], [3, 1, 2, 2, 2], [1, 2, 7, 7]]

    @Test(arguments: shapes, [DType.float32, .float64])
    func batchNormalization(_ shape: [Int], _ dtype: DType) throws {
        let tolerance = dtype == .float32 ? 2e-5 : 1e-12
        let x = randomArray(shape, dtype, scale: 3)
        let channels = [shape[1]]
        let (scale, bias) = (randomArray(channels, dtype, seed: 2), randomArray(channels, dtype, seed: 3))
        let (mean, variance) = try x.batchStatistics()
        let reference = Reference(x)
        for c in 0..<shape[1] {
            let values = allIndices(shape).filter { $0[1] == c }.map { reference[$0] }
            let center = values.reduce(0, +) / Double(values.count)
            let spread = values.reduce(0) { $0 + ($1 - center) * ($1 - center) } / Double(values.count)
            #expect(Swift.abs(mean.doubles()[c] - center) < tolerance)
            #expect(Swift.abs(variance.doubles()[c] - spread) < tolerance * Swift.max(1, spread))
        }
        let (m, v, s, b) = (mean.doubles(), variance.doubles(), scale.doubles(), bias.doubles())
        let expected = Reference(shape) { index in
            let c = index[1]
            return (reference[index] - m[c]) / (v[c] + 1e-5).squareRoot() * s[c] + b[c]
        }
        let y = try x.batchNormalized(scale: scale, bias: bias, mean: mean, variance: variance, epsilon: 1e-5)
        #expect(difference(y, expected.array(dtype), rtol: tolerance, atol: tolerance) == nil)
    }

    @Test(arguments: shapes)
    func batchNormGradient(_ shape: [Int]) throws {
        let (x, g) = (randomArray(shape, scale: 3), randomArray(shape, seed: 2))
        let (scale, bias) = (randomArray([shape[1]], seed: 3), randomArray([shape[1]], seed: 4))
        let epsilon = 1e-3
        func loss(_ x: NDArray, _ scale: NDArray, _ bias: NDArray) throws -> Double {
            let (mean, variance) = try x.batchStatistics()
            return dot(
                try x.batchNormalized(scale: scale, bias: bias, mean: mean, variance: variance, epsilon: epsilon), g)
        }
        let (mean, variance) = try x.batchStatistics()
        let invStd = NDArray(variance.doubles().map { 1 / ($0 + epsilon).squareRoot() })
        let gradients = try NDArray.batchNormTrainingGradient(
            x: x, gradOutput: g, mean: mean, invStd: invStd, scale: scale)
        let direction = randomArray(shape, seed: 5)
        let numeric = try slope(x, direction) { try loss($0, scale, bias) }
        #expect(Swift.abs(numeric - dot(gradients.gradX, direction)) < 1e-7 * Swift.max(1, Swift.abs(numeric)))
        let along = randomArray([shape[1]], seed: 6)
        let numericScale = try slope(scale, along) { try loss(x, $0, bias) }
        #expect(
            Swift.abs(numericScale - dot(gradients.gradScale, along)) < 1e-7 * Swift.max(1, Swift.abs(numericScale)))
        let numericBias = try slope(bias, along) { try loss(x, scale, $0) }
        #expect(Swift.abs(numericBias - dot(gradients.gradBias, along)) < 1e-7 * Swift.max(1, Swift.abs(numericBias)))
        // float32 takes another kernel.
        let single = try NDArray.batchNormTrainingGradient(
            x: x.converted(to: .float32), gradOutput: g.converted(to: .float32), mean: mean.converted(to: .float32),
            invStd: invStd.converted(to: .float32), scale: scale.converted(to: .float32))
        #expect(relativeError(single.gradX.converted(to: .float64), gradients.gradX) < 1e-5)
    }

    @Test func batchNormMisfits() {
        let (x, c) = (NDArray.zeros([2, 3, 4]), NDArray.zeros([3]))
        #expect(throws: ShapeError.self) {
            try x.batchNormalized(scale: c, bias: c, mean: c, variance: NDArray.zeros([2]), epsilon: 0)
        }
        #expect(throws: ShapeError.self) { try NDArray.zeros([3]).batchStatistics() }
        #expect(throws: ShapeError.self) { try NDArray.zeros([0, 3]).batchStatistics() }
        #expect(throws: ShapeError.self) {
            try NDArray.batchNormTrainingGradient(x: x, gradOutput: c, mean: c, invStd: c, scale: c)
        }
    }

    @Test(arguments: [(-1, [6]), (1, [5, 6]), (2, [1]), (-1, [6]), (0, [2, 5, 6]), (1, [5, 1])] as [(Int, [Int])])
    func layerNormalization(_ axis: Int, _ scaleShape: [Int]) throws {
        let shape = [2, 5, 6]
        let (x, g) = (randomArray(shape, scale: 3), randomArray(shape, seed: 2))
        let (scale, bias) = (randomArray(scaleShape, seed: 3), randomArray(scaleShape, seed: 4))
        let first = axis < 0 ? axis + 3 : axis
        let reference = Reference(x)
        let (y, mean, inverse) = try x.layerNormalized(axis: axis, scale: scale, bias: bias, epsilon: 1e-5)
        #expect(mean.shape == shape.indices.map { $0 < first ? shape[$0] : 1 })
        let expected = Reference(shape) { index in
            let row = allIndices(Array(shape[first...])).map { reference[Array(index[..<first] + $0)] }
            let center = row.reduce(0, +) / Double(row.count)
            let spread = row.reduce(0) { $0 + ($1 - center) * ($1 - center) } / Double(row.count)
            let normalized = (reference[index] - center) / (spread + 1e-5).squareRoot()
            return normalized * Reference(scale).broadcast(index) + Reference(bias).broadcast(index)
        }
        #expect(difference(y, expected.array(), rtol: 1e-12, atol: 1e-12) == nil)
        let single = try x.converted(to: .float32).layerNormalized(
            axis: axis, scale: scale.converted(to: .float32), bias: nil, epsilon: 1e-5)
        let unbiased = try NDArray.binary(.sub, expected.array(), bias)
        #expect(relativeError(single.output.converted(to: .float64), unbiased) < 1e-6)

        let gradients = try NDArray.layerNormGradient(
            x: x, gradOutput: g, axis: axis, mean: mean, invStdDev: inverse, scale: scale)
        func loss(_ x: NDArray, _ scale: NDArray, _ bias: NDArray) throws -> Double {
            dot(try x.layerNormalized(axis: axis, scale: scale, bias: bias, epsilon: 1e-5).output, g)
        }
        let direction = randomArray(shape, seed: 5)
        let numeric = try slope(x, direction) { try loss($0, scale, bias) }
        #expect(Swift.abs(numeric - dot(gradients.gradX, direction)) < 1e-6 * Swift.max(1, Swift.abs(numeric)))
        let along = randomArray(scaleShape, seed: 6)
        let numericScale = try slope(scale, along) { try loss(x, $0, bias) }
        #expect(
            Swift.abs(numericScale - dot(gradients.gradScale, along)) < 1e-6 * Swift.max(1, Swift.abs(numericScale)))
        let numericBias = try slope(bias, along) { try loss(x, scale, $0) }
        #expect(Swift.abs(numericBias - dot(gradients.gradBias, along)) < 1e-6 * Swift.max(1, Swift.abs(numericBias)))
    }

    @Test(arguments: [1, 2, 3, 5, 20], [DType.float32, .float64])
    func localResponseNormalization(_ size: Int, _ dtype: DType) throws {
        let x = randomArray([2, 6, 3, 2], dtype)
        let reference = Reference(x)
        let (before, after) = ((size - 1) / 2, size - 1 - (size - 1) / 2)
        let expected = Reference(x.shape) { index in
            let window = Swift.max(0, index[1] - before)...Swift.min(5, index[1] + after)
            let squares = window.reduce(0.0) { sum, c in
                let value = reference[[index[0], c, index[2], index[3]]]
                return sum + value * value
            }
            return reference[index] / pow(1.5 + 0.02 / Double(size) * squares, 0.75)
        }
        let y = try x.localResponseNormalized(size: size, alpha: 0.02, beta: 0.75, bias: 1.5)
        #expect(difference(y, expected.array(dtype), rtol: dtype == .float32 ? 1e-6 : 1e-13) == nil)
        #expect(throws: ShapeError.self) { try x.localResponseNormalized(size: 0, alpha: 1, beta: 1, bias: 1) }
    }
}
