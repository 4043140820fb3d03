import TensorCore
import TestSupport
import Testing

struct RandomArrayTests {
    @Test func uniformNumbersFillTheirRange() throws {
        var source = RandomSource(seed: 7)
        let x = try NDArray.randomUniform([20_000], -2, 3, from: &source)
        #expect(x.dtype == .float32)
        #expect(x.doubles().allSatisfy { $0 >= -2 && $0 < 3 })
        #expect(Swift.abs(try x.mean(axes: [0], keepDims: false).item() - 0.5) < 0.05)
        #expect(Swift.abs(try x.batchStatisticsOfAll().variance - 25.0 / 12) < 0.05)
    }

    @Test func normalNumbersHaveTheirMoments() throws {
        var source = RandomSource(seed: 8)
        let x = try NDArray.randomNormal([100, 200], mean: 1, standardDeviation: 2, dtype: .float64, from: &source)
        let (mean, variance) = try x.batchStatisticsOfAll()
        #expect(Swift.abs(mean - 1) < 0.05 && Swift.abs(variance - 4) < 0.1)
        var again = RandomSource(seed: 8)
        let same = try NDArray.randomNormal([100, 200], mean: 1, standardDeviation: 2, dtype: .float64, from: &again)
        #expect(x.isBitIdentical(to: same) && source == again)
        let next = try NDArray.randomNormal([100, 200], dtype: .float64, from: &source)
        #expect(!next.isBitIdentical(to: x))
    }

    @Test func bernoulliMasks() throws {
        var source = RandomSource(seed: 9)
        let mask = try NDArray.randomBernoulli([10_000], probability: 0.3, from: &source)
        #expect(mask.dtype == .bool)
        #expect(Swift.abs(mask.doubles().reduce(0, +) - 3_000) < 200)
        #expect(try NDArray.randomBernoulli([50], probability: 0, from: &source).doubles().reduce(0, +) == 0)
        #expect(try NDArray.randomBernoulli([50], probability: 1, from: &source).doubles().reduce(0, +) == 50)
        #expect(throws: ShapeError.self) { try NDArray.randomBernoulli([1], probability: 1.5, from: &source) }
        #expect(throws: ShapeError.self) { try NDArray.randomUniform([1], dtype: .int32, from: &source) }
        #expect(throws: ShapeError.self) { try NDArray.randomUniform([-1], from: &source) }
    }

    /// Runs with a seed repeat as long as these streams stay.
    @Test func masksAndUniformNumbersAreDrawnInTurn() throws {
        var (source, twin) = (RandomSource(seed: 10), RandomSource(seed: 10))
        for dtype in [DType.float32, .float64] {
            let mask = try NDArray.dropoutMask([7, 30], p: 0.3, kept: 2, dtype: dtype, from: &source)
            #expect(mask.doubles() == (0..<210).map { _ in twin.uniform() < 0.3 ? 0 : 2 })
            #expect(mask.dtype == dtype && mask.shape == [7, 30] && source == twin)
        }
        var (floats, doubles) = (RandomSource(seed: 11), RandomSource(seed: 11))
        #expect(
            try NDArray.uniform([50], seed: 11).doubles() == (0..<50).map { _ in Double(floats.uniformFloat()) })
        #expect(
            try NDArray.uniform([50], seed: 11, dtype: .float64).doubles() == (0..<50).map { _ in doubles.uniform() })
        #expect(throws: ShapeError.self) { try NDArray.dropoutMask([1], p: 1.5, kept: 1, from: &source) }
        #expect(throws: ShapeError.self) { try NDArray.uniform([1], seed: 1, dtype: .int32) }
    }

    @Test(arguments: [DType.float32, .float64])
    func hashedNormalNumbersAreTheSameInAnyPieces(dtype: DType) throws {
        let x = try NDArray.normal([200_001], seed: 12, dtype: dtype)
        #expect(try x.rows(0..<1_001).isBitIdentical(to: NDArray.normal([1_001], seed: 12, dtype: dtype)))
        let (mean, variance) = try x.batchStatisticsOfAll()
        let fourth = x.doubles().reduce(0) { $0 + $1 * $1 * $1 * $1 } / 200_001
        #expect(Swift.abs(mean) < 0.01 && Swift.abs(variance - 1) < 0.02 && Swift.abs(fourth - 3) < 0.1)
    }
}

extension NDArray {
    fileprivate func batchStatisticsOfAll() throws -> (mean: Double, variance: Double) {
        let (mean, variance) = try reshaped([1, 1, count]).batchStatistics()
        return (mean.item(), variance.item())
    }
}
