import TensorCore

extension Operator {
    /// Product of sizes that may come from a file; throws where no array can be so large.
    func product(of sizes: some Collection<Int>) throws -> Int {
        guard let product = checkedElementCount(Array(sizes), bytesPerElement: 1) else {
            throw failure("the product of \(Array(sizes)) is too large")
        }
        return product
    }

    /// Sum of sizes and pads that may come from a file; throws where it overflows.
    func sum(of sizes: some Collection<Int>) throws -> Int {
        try sizes.reduce(0) { sum, size in
            let (next, overflow) = sum.addingReportingOverflow(size)
            guard !overflow else { throw failure("the sum of \(Array(sizes)) is too large") }
            return next
        }
    }
}
