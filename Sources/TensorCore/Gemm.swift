import CKernels

/// General matrix product `alpha * op(a) * op(b) + beta * c`, the arithmetic of ONNX Gemm.
///
/// - `a`: `[M, K]`, or `[K, M]` when `transposeA`.
/// - `b`: `[K, N]`, or `[N, K]` when `transposeB`.
/// - `c`: broadcasts to `[M, N]`; nil adds nothing.
/// - Returns: `[M, N]` of the operands' type, `float32` or `float64`.
/// - Throws: `ShapeError` when shapes or element types do not fit.
public func gemm(
    _ a: NDArray, transposeA: Bool = false, _ b: NDArray, transposeB: Bool = false, alpha: Double = 1,
    c: NDArray? = nil, beta: Double = 1
) throws -> NDArray {
    guard a.rank == 2, b.rank == 2 else {
        throw ShapeError("Gemm", "expected A [M, K] and B [K, N], got \(a.shape) and \(b.shape)")
    }
    let (m, k) = transposeA ? (a.shape[1], a.shape[0]) : (a.shape[0], a.shape[1])
    let (innerB, n) = transposeB ? (b.shape[1], b.shape[0]) : (b.shape[0], b.shape[1])
    guard k == innerB else {
        let marks = (transposeA ? "ᵀ" : "", transposeB ? "ᵀ" : "")
        throw ShapeError("Gemm", "expected A [M, K] and B [K, N], got \(a.shape)\(marks.0) and \(b.shape)\(marks.1)")
    }
    guard a.dtype == b.dtype, c == nil || c?.dtype == a.dtype else {
        let types = [a, b, c].compactMap { $0?.dtype.description }.joined(separator: ", ")
        throw ShapeError("Gemm", "expected operands of one type, got \(types)")
    }
    var result = try NDArray(result: [m, n], a.dtype, "Gemm")
    let scale = try c.map { try broadcastRows(of: $0, into: &result) } == nil ? 0 : beta
    switch a.dtype {
    case .float32:
        a.withElements(as: Float.self) { a in
            b.withElements(as: Float.self) { b in
                result.withMutableElements(as: Float.self) { result in
                    guard let a = a.baseAddress, let b = b.baseAddress, let c = result.baseAddress else { return }
                    ft_sgemm(
                        transposeA, transposeB, m, n, k, Float(alpha), a, transposeA ? m : k, b, transposeB ? k : n,
                        Float(scale), c, n)
                }
            }
        }
    case .float64:
        a.withElements(as: Double.self) { a in
            b.withElements(as: Double.self) { b in
                result.withMutableElements(as: Double.self) { result in
                    guard let a = a.baseAddress, let b = b.baseAddress, let c = result.baseAddress else { return }
                    ft_dgemm(
                        transposeA, transposeB, m, n, k, alpha, a, transposeA ? m : k, b, transposeB ? k : n, scale, c,
                        n)
                }
            }
        }
    default:
        throw ShapeError("Gemm", "expected float32 or float64, got \(a.dtype)")
    }
    return result
}

/// Fills `result`, `[M, N]`, with `c` broadcast to it.
private func broadcastRows(of c: NDArray, into result: inout NDArray) throws {
    let (m, n) = (result.shape[0], result.shape[1])
    guard c.rank <= 2, broadcastShape(c.shape, [m, n]) == [m, n] else {
        throw ShapeError("Gemm", "expected C to broadcast to [\(m), \(n)], got \(c.shape)")
    }
    let padded = [Int](repeating: 1, count: 2 - c.rank) + c.shape
    let (rowStride, columnStride) = (padded[0] == 1 ? 0 : padded[1], padded[1] == 1 ? 0 : 1)
    func copy<T: Scalar>(as type: T.Type) {
        c.withElements(as: T.self) { source in
            result.withMutableElements(as: T.self) { target in
                for row in 0..<m {
                    for column in 0..<n {
                        target[row * n + column] = source[row * rowStride + column * columnStride]
                    }
                }
            }
        }
    }
    switch c.dtype {
    case .float32: copy(as: Float.self)
    case .float64: copy(as: Double.self)
    default: throw ShapeError("Gemm", "expected float32 or float64, got \(c.dtype)")
    }
}
