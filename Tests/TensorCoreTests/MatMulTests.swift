import TensorCore
import TestSupport
import Testing

struct MatMulTests {
    private func naive(_ a: Reference, _ b: Reference, _ outer: [Int]) -> Reference {
        let (m, k, n) = (a.shape[a.shape.count - 2], a.shape[a.shape.count - 1], b.shape[b.shape.count - 1])
        return Reference(outer + [m, n]) { index in
            let batch = Array(index.dropLast(2))
            return (0..<k).reduce(0) { sum, inner in
                let x = a.broadcast(batch + [index[batch.count], inner])
                return sum + x * b.broadcast(batch + [inner, index[batch.count + 1]])
            }
        }
    }

    private func swapped(_ x: NDArray) throws -> NDArray {
        let rank = x.rank
        return try x.transposed(Array(0..<(rank - 2)) + [rank - 1, rank - 2])
    }

    static let cases: [([Int], [Int])] = [
        ([2, 3], [3, 4]), ([1, 1], [1, 1]), ([5, 2, 3], [3, 4]), ([2, 3], [5, 3, 4]), ([5, 2, 3], [5, 3, 4]),
        ([4, 1, 2, 3], [5, 3, 2]), ([2, 1, 2, 3], [1, 3, 3, 2]), ([0, 3], [3, 2]), ([2, 0], [0, 3]),
        ([0, 2, 3], [3, 4]),
        ([33, 70], [70, 29]), ([3, 0, 4], [4, 2]), ([1, 2, 3], [2, 1, 3, 2]),
    ]

    @Test(arguments: [DType.float32, .float64, .float16, .int32, .uint8, .int64])
    func products(_ dtype: DType) throws {
        let tolerance = dtype == .float32 ? 1e-5 : (dtype == .float16 ? 1e-2 : 1e-12)
        for (left, right) in Self.cases {
            let a = try randomArray(left, dtype, seed: 1, scale: dtype.isInteger ? 2 : 1).map(
                dtype.isInteger ? .abs : .neg)
            let b = try randomArray(right, dtype, seed: 2, scale: dtype.isInteger ? 2 : 1).map(
                dtype.isInteger ? .abs : .neg)
            let outer = try #require(broadcastShape(Array(left.dropLast(2)), Array(right.dropLast(2))))
            let expected = naive(Reference(a), Reference(b), outer).array(dtype)
            for (transposeA, transposeB) in [(false, false), (true, false), (false, true), (true, true)] {
                let result = try NDArray.matmul(
                    transposeA ? swapped(a) : a, transposeB ? swapped(b) : b, transposeA: transposeA,
                    transposeB: transposeB)
                let problem = difference(result, expected, rtol: tolerance, atol: tolerance)
                #expect(problem == nil, "\(left) \(right) \(transposeA) \(transposeB)")
            }
        }
    }

    @Test func misfits() {
        let error = ShapeError("MatMul", "expected [.., M, K] and [.., K, N], got [8, 512] and [256, 10]")
        #expect(throws: error) { try NDArray.matmul(NDArray.zeros([8, 512]), NDArray.zeros([256, 10])) }
        #expect(throws: ShapeError.self) { try NDArray.matmul(NDArray.zeros([3]), NDArray.zeros([3, 1])) }
        #expect(throws: ShapeError.self) { try NDArray.matmul(NDArray.zeros([2, 1, 3]), NDArray.zeros([3, 3, 1])) }
        #expect(throws: ShapeError.self) {
            try NDArray.matmul(NDArray.zeros([1, 1]), NDArray.zeros([1, 1], dtype: .float64))
        }
    }
}
