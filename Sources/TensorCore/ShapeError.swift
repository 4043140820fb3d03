/// Operands whose shapes, element types or values do not fit an operation.
///
/// The text says which operation, what it expected and what it got, as in
/// `MatMul: expected [.., M, K] and [.., K, N], got [8, 512] and [256, 10]`.
public struct ShapeError: Error, CustomStringConvertible, Equatable {
    public let operation: String
    public let reason: String

    public init(_ operation: String, _ reason: String) {
        self.operation = operation
        self.reason = reason
    }

    public var description: String { "\(operation): \(reason)" }
}

/// The shape that `a` and `b` broadcast to by NumPy's rules, or nil when they do not fit.
public func broadcastShape(_ a: [Int], _ b: [Int]) -> [Int]? {
    if a == b { return a }
    let rank = max(a.count, b.count)
    var shape = [Int](repeating: 1, count: rank)
    for axis in 0..<rank {
        let x = axis - (rank - a.count) >= 0 ? a[axis - (rank - a.count)] : 1
        let y = axis - (rank - b.count) >= 0 ? b[axis - (rank - b.count)] : 1
        guard x == y || x == 1 || y == 1 else { return nil }
        shape[axis] = x == 1 ? y : x
    }
    return shape
}

/// `axis` counted from the front, for an axis in `-rank ..< rank`; nil outside.
public func normalizedAxis(_ axis: Int, rank: Int) -> Int? {
    let result = axis < 0 ? axis + rank : axis
    return result >= 0 && result < rank ? result : nil
}
