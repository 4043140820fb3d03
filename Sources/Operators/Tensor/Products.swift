import Autograd
import TensorCore

extension Tensor {
    /// Every product of an element of this vector `[N]` and one of `other` `[M]`: `[N, M]`. Source: `torch.outer`.
    public func outer(_ other: Tensor) -> Tensor {
        demand(rank == 1 && other.rank == 1, "outer: expected two vectors, got \(shape) and \(other.shape)")
        return reshape(shape[0], 1) * other.reshape(1, other.shape[0])
    }
}

/// Sums of products of elements, axes named by letters: `einsum("bij,bjk->bik", a, b)`.
///
/// Letters that the result does not name are summed over; without an arrow the result has those that occur once, in
/// alphabetical order. `...` stands for any axes, which broadcast. A letter twice in one operand takes the diagonal.
/// Throws `ShapeError` for an equation that does not fit. Source: `torch.einsum`.
public func einsum(_ equation: String, _ operands: Tensor...) throws -> Tensor {
    try Einsum(equation, operands.map(\.shape)).apply(to: operands)
}

/// An equation with its axes numbered: first those of `...`, then the result's letters, then those that are summed over.
private struct Einsum {
    private var operands: [[Character]] = []
    private var result: [Character] = []
    private var summed: [Character] = []
    /// Axes that the longest `...` stands for.
    private var ellipsisRank = 0
    private let equation: String

    init(_ equation: String, _ shapes: [[Int]]) throws {
        self.equation = equation
        let text = equation.filter { $0 != " " }.replacing("...", with: "*")
        let sides = text.split(separator: ">", omittingEmptySubsequences: false).map { Array($0) }
        let hasArrow = sides.count == 2 && sides[0].last == "-"
        guard sides.count == 1 || hasArrow else { throw failure("expected at most one '->'") }
        let left = hasArrow ? Array(sides[0].dropLast()) : sides[0]
        operands = left.split(separator: ",", omittingEmptySubsequences: false).map { Array($0) }
        guard operands.count == shapes.count else {
            throw failure("it names \(operands.count) operands, got \(shapes.count)")
        }
        for (letters, shape) in zip(operands, shapes) {
            let named = letters.count { $0 != "*" }
            guard letters.allSatisfy({ $0.isLetter || $0 == "*" }), letters.count - named <= 1 else {
                throw failure("'\(String(letters))' is not made of letters and at most one '...'")
            }
            guard letters.contains("*") ? named <= shape.count : named == shape.count else {
                throw failure("'\(String(letters))' does not fit shape \(shape)")
            }
            ellipsisRank = max(ellipsisRank, letters.contains("*") ? shape.count - named : 0)
        }
        let all = operands.joined()
        let distinct = Set(all).subtracting(["*"]).sorted()
        if hasArrow {
            result = sides[1]
            guard Set(result).count == result.count, Set(result).subtracting(["*"]).isSubset(of: distinct) else {
                throw failure("the result names a letter twice or one that no operand has")
            }
        } else {
            result = (all.contains("*") ? ["*"] : []) + distinct.filter { letter in all.count { $0 == letter } == 1 }
        }
        summed = distinct.filter { !result.contains($0) }
    }

    private func failure(_ reason: String) -> ShapeError { ShapeError("einsum", "\"\(equation)\": \(reason)") }

    func apply(to tensors: [Tensor]) throws -> Tensor {
        let kept = result.filter { $0 != "*" }
        let order = kept + summed
        var product: Tensor?
        for (letters, tensor) in zip(operands, tensors) {
            let aligned = try align(tensor, letters, to: order)
            product = try product.map { try multiply($0, aligned, kept: kept.count) } ?? aligned
        }
        guard var product else { throw failure("it has no operands") }
        // What is still there of the letters that the result lacks.
        let first = ellipsisRank + kept.count
        let open = (first..<product.rank).map { $0 }
        if !open.isEmpty { product = try product.summed(over: open, keepDims: false) }
        guard result.contains("*") else {
            return ellipsisRank > 0
                ? try product.summed(over: Array(0..<ellipsisRank), keepDims: false) : product
        }
        // `...` stands where the result puts it.
        let before = result.prefix { $0 != "*" }.count
        let axes =
            (0..<before).map { ellipsisRank + $0 } + Array(0..<ellipsisRank)
            + (before..<kept.count).map { ellipsisRank + $0 }
        return try product.permuted(axes)
    }

    /// `tensor` with one axis for each of `...` and of `order`, of size 1 where it has none.
    private func align(_ tensor: Tensor, _ letters: [Character], to order: [Character]) throws -> Tensor {
        var (tensor, letters) = (tensor, letters)
        let own = tensor.rank - letters.count { $0 != "*" }
        // The axes of `...` first.
        let start = letters.firstIndex(of: "*") ?? 0
        var axes = Array(start..<start + own)
        axes += (0..<tensor.rank).filter { !axes.contains($0) }
        tensor = try tensor.permuted(axes)
        letters.removeAll { $0 == "*" }
        while let repeated = letters.first(where: { letter in letters.count { $0 == letter } > 1 }) {
            try takeDiagonal(of: &tensor, &letters, repeated, offset: own)
        }
        let positions = order.compactMap { letters.firstIndex(of: $0) }.map { own + $0 }
        tensor = try tensor.permuted(Array(0..<own) + positions)
        var shape = [Int](repeating: 1, count: ellipsisRank - own) + tensor.shape[..<own]
        for letter in order { shape.append(letters.firstIndex(of: letter).map { _ in 0 } ?? 1) }
        var sizes = tensor.shape[own...].makeIterator()
        for (index, letter) in order.enumerated() where letters.contains(letter) {
            shape[ellipsisRank + index] = sizes.next() ?? 1
        }
        return try tensor.reshaped(shape)
    }

    /// Keeps the elements where both axes called `letter` agree, as one axis.
    private func takeDiagonal(
        of tensor: inout Tensor, _ letters: inout [Character], _ letter: Character, offset: Int
    ) throws {
        let places = letters.indices.filter { letters[$0] == letter }.prefix(2).map { offset + $0 }
        let size = tensor.shape[places[0]]
        guard tensor.shape[places[1]] == size else {
            throw failure("'\(letter)' is \(size) and \(tensor.shape[places[1]]) in shape \(tensor.shape)")
        }
        let others = (0..<tensor.rank).filter { !places.contains($0) }
        let moved = try tensor.permuted(others + places)
        let flat = try moved.reshaped(moved.shape.dropLast(2) + [size * size])
        let indices = NDArray((0..<size).map { $0 * (size + 1) })
        tensor = flat.indexSelect(flat.rank - 1, Tensor(indices))
        letters.remove(at: places[1] - offset)
        letters.remove(at: places[0] - offset)
        letters.append(letter)
    }

    /// a · b, summed at once over what neither the result nor a later operand would need apart: as matrix products where the
    /// letters that only one of the two has can be rows and columns.
    private func multiply(_ a: Tensor, _ b: Tensor, kept: Int) throws -> Tensor {
        guard let shape = broadcastShape(a.shape, b.shape) else {
            throw failure("operands of shapes \(a.shape) and \(b.shape), axes in order, do not fit each other")
        }
        let first = ellipsisRank + kept
        let isLast = operands.count == 2
        guard isLast, first < shape.count, (first..<shape.count).allSatisfy({ a.shape[$0] == b.shape[$0] }) else {
            return a * b
        }
        let axes = Array(0..<first)
        let batch = axes.filter { a.shape[$0] == b.shape[$0] || $0 < ellipsisRank }
        guard batch.allSatisfy({ a.shape[$0] == b.shape[$0] }) else { return a * b }
        let rows = axes.filter { !batch.contains($0) && b.shape[$0] == 1 }
        let columns = axes.filter { !batch.contains($0) && b.shape[$0] != 1 }
        func size(_ axes: [Int]) -> Int { axes.reduce(1) { $0 * shape[$1] } }
        let inner = Array(first..<shape.count)
        // The operand's own axes of size 1 at the other's places vanish in the reshape.
        let left = try a.permuted(batch + rows + columns + inner).reshaped([size(batch), size(rows), size(inner)])
        let right = try b.permuted(batch + inner + rows + columns).reshaped([size(batch), size(inner), size(columns)])
        let product = left.matmul(right)
        var inverse = [Int](repeating: 0, count: first)
        for (to, axis) in (batch + rows + columns).enumerated() { inverse[axis] = to }
        return try product.reshaped((batch + rows + columns).map { shape[$0] }).permuted(inverse)
    }
}
