#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// How large an array may be that an operation makes.
package enum ArrayLimit {
    /// Bytes of one array: a quarter of the machine's memory.
    package static let bytes = max(
        1 << 30, min(1 << 35, sysconf(Int32(_SC_PHYS_PAGES)) * sysconf(Int32(_SC_PAGESIZE)) / 4))
}

/// Number of elements of an operation's result, or nil when a dimension is negative or the array would be larger than
/// `ArrayLimit.bytes`.
///
/// Empty axes count as 1, so that products of some dimensions of an empty result can be computed too.
@inline(__always)
private func resultCount(_ shape: [Int], _ dtype: DType) -> Int? {
    var nonZero = 1
    var isEmpty = false
    for dimension in shape {
        guard dimension >= 0 else { return nil }
        guard dimension > 0 else {
            isEmpty = true
            continue
        }
        let (product, overflow) = nonZero.multipliedReportingOverflow(by: dimension)
        guard !overflow else { return nil }
        nonZero = product
    }
    let (bytes, overflow) = nonZero.multipliedReportingOverflow(by: dtype.size)
    guard !overflow, bytes <= ArrayLimit.bytes else { return nil }
    return isEmpty ? 0 : nonZero
}

@inline(never)
private func refusal(_ shape: [Int], _ operation: String) -> ShapeError {
    if shape.contains(where: { $0 < 0 }) { return ShapeError(operation, "shape \(shape) has a negative dimension") }
    return ShapeError(
        operation, "an array of shape \(shape) is larger than \(ArrayLimit.bytes >> 20) MB, a quarter of the memory")
}

/// Throws `ShapeError` of `operation` unless it may make an array of `shape`.
package func requireAllocatable(
    _ shape: [Int], _ dtype: DType, _ operation: @autoclosure () -> String
) throws {
    guard resultCount(shape, dtype) != nil else { throw refusal(shape, operation()) }
}

extension NDArray {
    /// Memory for the result of an operation, whose shape may follow from numbers in a file; undefined until written.
    ///
    /// - Throws: `ShapeError` of `operation` unless it may make such an array.
    init(result shape: [Int], _ dtype: DType, _ operation: @autoclosure () -> String) throws {
        guard let count = resultCount(shape, dtype) else { throw refusal(shape, operation()) }
        self.init(uninitialized: shape, count: count, dtype: dtype)
    }

    /// The result of an operation, whose elements `body` writes through the pointer; throws as `init(result:_:_:)`.
    @inline(__always)
    static func produce(
        _ shape: [Int], _ dtype: DType, _ operation: @autoclosure () -> String,
        _ body: (UnsafeMutableRawPointer) throws -> Void
    ) throws -> NDArray {
        let array = try NDArray(result: shape, dtype, operation())
        try withExtendedLifetime(array.storage) { try body(array.storage.pointer) }
        return array
    }
}

/// `a` times `b`, the largest number when that overflows: an amount of work, which only decides how it is shared out.
func saturatingProduct(_ a: Int, _ b: Int) -> Int {
    let (product, overflow) = a.multipliedReportingOverflow(by: b)
    return overflow ? .max : product
}
