import CKernels
import TensorCore
import Testing

@Suite struct GemmTests {
    private func reference(
        _ a: [Double], _ b: [Double], m: Int, n: Int, k: Int, transposeA: Bool, transposeB: Bool
    ) -> [Double] {
        var c = [Double](repeating: 0, count: m * n)
        for i in 0..<m {
            for j in 0..<n {
                for p in 0..<k {
                    c[i * n + j] += a[transposeA ? p * m + i : i * k + p] * b[transposeB ? j * k + p : p * n + j]
                }
            }
        }
        return c
    }

    @Test(
        arguments: [[1, 1, 1], [3, 5, 7], [64, 1, 33], [1, 90, 40], [130, 70, 129], [17, 300, 65]], [false, true])
    func matchesTheDefinition(_ sizes: [Int], _ transposeA: Bool) throws {
        let (m, n, k) = (sizes[0], sizes[1], sizes[2])
        for dtype in [DType.float32, .float64] {
            for transposeB in [false, true] {
                let a = seededValues(m * k, seed: 1)
                let b = seededValues(k * n, seed: 2)
                let c = seededValues(n, seed: 3)
                let result = try gemm(
                    array(a, transposeA ? [k, m] : [m, k], dtype), transposeA: transposeA,
                    array(b, transposeB ? [n, k] : [k, n], dtype), transposeB: transposeB, alpha: 0.5,
                    c: array(c, [n], dtype), beta: -2)
                let product = reference(a, b, m: m, n: n, k: k, transposeA: transposeA, transposeB: transposeB)
                let expected = product.indices.map { 0.5 * product[$0] - 2 * c[$0 % n] }
                #expect(result.shape == [m, n])
                #expect(relativeError(result, expected) < (dtype == .float32 ? 1e-5 : 1e-13))
            }
        }
    }

    @Test func broadcastsC() throws {
        let a = NDArray([Float(1), 2], shape: [2, 1])
        let b = NDArray([Float(10), 20], shape: [1, 2])
        func sum(_ values: [Float], _ shape: [Int]) throws -> [Float] {
            try gemm(a, b, c: NDArray(values, shape: shape)).elements(as: Float.self)
        }
        #expect(try sum([1], []) == [11, 21, 21, 41])
        #expect(try sum([1, 2], [2]) == [11, 22, 21, 42])
        #expect(try sum([1, 2], [2, 1]) == [11, 21, 22, 42])
        #expect(try sum([1, 2, 3, 4], [2, 2]) == [11, 22, 23, 44])
        #expect(throws: ShapeError.self) { try sum([1, 2, 3], [3]) }
    }

    @Test func emptyInnerDimensionGivesZeros() throws {
        let result = try gemm(.zeros([2, 0]), .zeros([0, 3]))
        #expect(result.elements(as: Float.self) == [0, 0, 0, 0, 0, 0])
    }

    @Test func refusesWhatDoesNotFit() {
        #expect(throws: ShapeError.self) { try gemm(.zeros([2, 3]), .zeros([4, 5])) }
        #expect(throws: ShapeError.self) { try gemm(.zeros([2]), .zeros([2, 5])) }
        #expect(throws: ShapeError.self) { try gemm(.zeros([2, 3]), .zeros([3, 5], dtype: .float64)) }
    }

    /// The library's own choice stands unless it lacks the CPU's AVX-512, and the user's always does.
    @Test func choosesBlasKernels() {
        func choice(_ core: String, _ avx512: Bool, _ user: String?) -> String? {
            ft_blas_core_type(core, avx512, user).map { String(cString: $0) }
        }
        #expect(choice("Haswell", true, nil) == "SKYLAKEX")
        #expect(choice("Zen", true, "") == "SKYLAKEX")
        #expect(choice("Zen", false, nil) == nil)
        #expect(choice("SkylakeX", true, nil) == nil)
        #expect(choice("Cooperlake", true, nil) == nil)
        #expect(choice("Haswell", true, "Haswell") == nil)
    }
}
