/// Number of elements of a shape that comes from untrusted data, or nil when no array can have it: a dimension is negative,
/// or the non-zero dimensions times `bytesPerElement` are beyond 2^47 bytes, all that a process can address.
///
/// Within, strides can be computed and a few sizes multiplied or added without overflow, for empty arrays too.
public func checkedElementCount(_ shape: [Int], bytesPerElement: Int = 8) -> Int? {
    var nonZero = bytesPerElement
    var isEmpty = false
    for dimension in shape {
        guard dimension >= 0 else { return nil }
        guard dimension > 0 else {
            isEmpty = true
            continue
        }
        let (product, overflow) = nonZero.multipliedReportingOverflow(by: dimension)
        guard !overflow, product <= 1 << 47 else { return nil }
        nonZero = product
    }
    return isEmpty ? 0 : nonZero / bytesPerElement
}
