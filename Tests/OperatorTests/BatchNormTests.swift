import Autograd
import Operators
import TensorCore
import TestSupport
import Testing

/// The two ways to the gradient of a training batch norm, and what it keeps.
@Suite struct BatchNormTests {
    private func inputs(_ dtype: DType) throws -> (x: Tensor, scale: Tensor, bias: Tensor, g: Tensor) {
        func tensor(_ shape: [Int], _ seed: Int) throws -> Tensor {
            try Tensor(OperatorSample.values(shape, seed: seed).converted(to: dtype), requiresGrad: true)
        }
        return (try tensor([4, 3, 5, 6], 0), try tensor([3], 1), try tensor([3], 2), try tensor([4, 3, 5, 6], 3))
    }

    @Test(arguments: [DType.float32, .float64])
    func fusedGradientEqualsComposedGradient(dtype: DType) throws {
        let (x, scale, bias, g) = try inputs(dtype)
        let zeros = NDArray.zeros([3], dtype: dtype)
        let y = try batchNorm(x, scale: scale, bias: bias, mean: zeros, variance: zeros, training: true).output
        let gradients = try [false, true].map { createGraph in
            try grad(
                of: [y], wrt: [x, scale, bias], gradOutputs: [g], retainGraph: true, createGraph: createGraph)
        }
        for (fused, composed) in zip(gradients[0], gradients[1]) {
            let (a, b) = (try #require(fused), try #require(composed))
            #expect(b.requiresGrad)
            #expect(relativeError(a.array, b.array) < (dtype == .float32 ? 2e-6 : 1e-13))
        }
    }

    @Test func statisticsAreThoseOfTheBatch() throws {
        let (x, scale, bias, _) = try inputs(.float64)
        let zeros = NDArray.zeros([3], dtype: .float64)
        let result = try batchNorm(x, scale: scale, bias: bias, mean: zeros, variance: zeros, training: true)
        let statistics = try #require(result.statistics)
        let mean = try x.array.mean(axes: [0, 2, 3], keepDims: true)
        let squares = try NDArray.binary(.sub, x.array, mean).sumOfSquares(axes: [0, 2, 3], keepDims: false)
        #expect(difference(statistics.mean, mean.reshaped([3]), rtol: 1e-12) == nil)
        #expect(statistics.count == 120)
        let variance = try NDArray.binary(.div, squares, NDArray(scalar: 120.0))
        #expect(difference(statistics.variance, variance, rtol: 1e-12) == nil)
    }

    /// x is kept for its own gradient and the scale's, but not for the bias alone.
    @Test(arguments: [([0], true), ([1], true), ([2], false)])
    func keepsOnlyWhatGradientsRead(needed: [Int], keepsInput: Bool) throws {
        let (x, scale, bias, _) = try inputs(.float32)
        let leaves = try [x, scale, bias].enumerated().map {
            try Tensor($1.array, requiresGrad: needed.contains($0))
        }
        let zeros = NDArray.zeros([3])
        let y = try batchNorm(
            leaves[0], scale: leaves[1], bias: leaves[2], mean: zeros, variance: zeros, training: true
        ).output
        let bytes = try #require(y.gradFn).savedBytes
        #expect(keepsInput ? bytes >= x.array.byteCount : bytes == 0)
    }

    @Test func oneElementPerChannelIsRefusedInTraining() throws {
        let x = Tensor(NDArray.ones([1, 3]))
        let zeros = NDArray.zeros([3])
        #expect(throws: ShapeError.self) { try batchNorm(x, mean: zeros, variance: zeros, training: true) }
    }
}
