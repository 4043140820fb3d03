import Foundation
import TensorCore
import TestSupport
import Testing

struct InPlaceTests {
    @Test(arguments: [DType.float32, .float64, .float16, .int32])
    func addsAndScales(_ dtype: DType) throws {
        let (x, y) = (NDArray([1.0, 2, 3]).converted(to: dtype), NDArray([10.0, 20, 30]).converted(to: dtype))
        var sum = x
        try sum.addInPlace(y, scale: 2)
        #expect(sum.doubles() == [21, 42, 63] && x.doubles() == [1, 2, 3])
        sum.scaleInPlace(3)
        #expect(sum.doubles() == [63, 126, 189])
        #expect(throws: ShapeError.self) { try sum.addInPlace(NDArray.zeros([2], dtype: dtype)) }
        #expect(throws: ShapeError.self) { try sum.addInPlace(NDArray.zeros([3], dtype: .uint8)) }
    }

    @Test func changesUniqueStorageWhereItLies() throws {
        var x = randomArray([100_000], .float32)
        let address = x.withUnsafeBytes { $0.baseAddress }
        let before = x.doubles()
        let other = randomArray([100_000], .float32, seed: 2)
        try x.addInPlace(other, scale: -0.5)
        #expect(x.withUnsafeBytes { $0.baseAddress } == address)
        let expected = zip(before, other.doubles()).map { Float($0 - 0.5 * $1) }
        #expect(difference(x, NDArray(expected), rtol: 1e-6, atol: 1e-6) == nil)
        let copy = x
        x.scaleInPlace(2)
        #expect(x.withUnsafeBytes { $0.baseAddress } != address)
        #expect(x.doubles()[7] == 2 * copy.doubles()[7])
    }

    @Test(arguments: [DType.float32, .float64, .float16])
    func finds(_ dtype: DType) {
        for bad in [Double.nan, .infinity, -.infinity] {
            for position in [0, 17, 99] {
                var values = [Double](repeating: 6e4, count: 100)
                #expect(NDArray(values).converted(to: dtype).allFinite())
                values[position] = bad
                #expect(!NDArray(values).converted(to: dtype).allFinite())
            }
        }
        #expect(NDArray([1, 2]).allFinite())
        #expect(NDArray.full([100], 3e38).allFinite())
        #expect(NDArray.zeros([0]).l2NormSquared() == 0)
        #expect(NDArray([3, 4]).l2NormSquared() == 25)
    }

    @Test func optimizerMisfits() {
        var parameter = NDArray.zeros([3])
        var buffer: NDArray? = NDArray.zeros([2])
        #expect(throws: ShapeError.self) {
            try NDArray.sgdStep(
                &parameter, gradient: NDArray.zeros([3]), momentumBuffer: &buffer, SGDSettings(learningRate: 1))
        }
        #expect(buffer?.shape == [2])
        var missing: NDArray?
        #expect(throws: ShapeError.self) {
            try NDArray.sgdStep(
                &parameter, gradient: NDArray.zeros([3], dtype: .float64), momentumBuffer: &missing,
                SGDSettings(learningRate: 1))
        }
    }
}
