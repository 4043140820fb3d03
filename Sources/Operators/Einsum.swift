import Autograd
import TensorCore

extension Op {
    /// Products of operands summed over the axes that the result does not name: `"bij,bjk->bik"`.
    ///
    /// Letters name axes; an ellipsis stands for axes that broadcast; a letter given twice to one operand takes its diagonal;
    /// without an arrow the result has the letters given once, in the order of the alphabet. ONNX Einsum 12...; `torch.einsum`.
    public struct Einsum: CompositeOperator {
        public static let opType = "Einsum"
        public static var maximumInputs: Int { 64 }
        public static let opsets = 12...OperatorSet.newest
        let equation: EinsumEquation

        /// Throws `ShapeError` for a malformed equation.
        public init(_ equation: String) throws { self.equation = try EinsumEquation(equation) }

        public init(_ node: NodeAttributes) throws {
            guard node.has("equation") else { throw node.unsupported("equation", "is missing") }
            try self.init(node.string("equation", default: ""))
        }

        public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation {
            guard batch.hasPictures else { return .counted }
            let operands = batch.inputs.compactMap { $0 }
            guard let plan = try? equation.resolve(operands.map(\.shape)), plan.operands.count == operands.count else {
                return .mixed
            }
            let named = zip(operands, plan.operands).compactMap { operand, labels in
                operand.relation.pictures.map { (label: labels[$0.axis], axis: $0) }
            }
            let label = named[0].label
            guard
                named.allSatisfy({
                    $0.label == label && $0.axis.repeats == named[0].axis.repeats && $0.axis.rows == named[0].axis.rows
                }),
                let axis = plan.output.firstIndex(of: label)
            else { return .mixed }
            for (operand, labels) in zip(operands, plan.operands) {
                let places = labels.indices.filter { labels[$0] == label }
                if operand.relation.pictures != nil {
                    guard places.count == 1 else { return .mixed }
                } else {
                    guard operand.relation == .constant, places.isEmpty else { return .mixed }
                }
            }
            let found = named[0].axis
            return .images(PictureAxis(axis: axis, repeats: found.repeats, rows: found.rows))
        }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] {
            let operands = try inputs.indices.map { try required(inputs, $0, "Inputs[\($0)]") }
            let plan = try equation.resolve(operands.map(\.shape))
            guard let dtype = operands.first?.dtype, operands.allSatisfy({ $0.dtype == dtype }) else {
                throw failure("operands have different types")
            }
            return [ValueInfo(dtype, plan.output.map { plan.sizes[$0] ?? 1 })]
        }

        public func expand(_ inputs: [Tensor?]) throws -> [Tensor] {
            let operands = try inputs.indices.map { try required(inputs, $0, "Inputs[\($0)]") }
            let plan = try equation.resolve(operands.map(\.shape))
            guard let first = operands.first, operands.allSatisfy({ $0.dtype == first.dtype }) else {
                throw failure("operands have different types")
            }
            var terms: [Term] = []
            for (x, labels) in zip(operands, plan.operands) {
                terms.append(try Term(x, labels).diagonal().stretched(to: plan.sizes))
            }
            var result = terms[0]
            for index in terms.indices.dropFirst() {
                let needed = terms[(index + 1)...].reduce(into: Set(plan.output)) { $0.formUnion($1.labels) }
                result = try result.multiplied(by: terms[index], keeping: needed)
            }
            return [try result.summed(keeping: Set(plan.output)).permuted(to: plan.output)]
        }

        public static func samples() throws -> [OperatorSample] {
            func sample(_ equation: String, _ shapes: [Int]...) throws -> OperatorSample {
                let inputs = shapes.enumerated().map { OperatorSample.values($0.element, seed: $0.offset) }
                return OperatorSample(
                    equation, try Op.Einsum(equation), inputs, differentiable: Array(inputs.indices))
            }
            return [
                try sample("bij, bjk -> bik", [2, 2, 3], [2, 3, 2]),
                try sample("bhwc,hkc->bhwk", [1, 2, 3, 2], [2, 2, 2]),
                try sample("...ij,...jk", [2, 1, 2, 3], [3, 3, 2]),
                try sample("ij->ji", [2, 3]),
                try sample("ba", [2, 3]),
                try sample("ii->i", [3, 3]),
                try sample("iji->", [2, 3, 2]),
                try sample("i,j->ij", [2], [3]),
                try sample("a,ab,b->", [2], [2, 3], [3]),
                try sample("...i->...", [2, 2, 3]),
                try sample("ij,j->i", [2, 0], [0]),
            ]
        }
    }
}

/// An equation as written.
struct EinsumEquation: Sendable {
    /// Letters of each operand; nil marks the ellipsis.
    let operands: [[Character?]]
    /// Letters of the result; nil when the equation has no arrow.
    let result: [Character?]?

    init(_ text: String) throws {
        let compact = text.filter { !$0.isWhitespace }
        let sides = compact.split(separator: "->", omittingEmptySubsequences: false)
        func labels(_ part: Substring) throws -> [Character?] {
            let pieces = part.split(separator: "...", omittingEmptySubsequences: false)
            guard pieces.count <= 2, pieces.allSatisfy({ $0.allSatisfy { $0.isASCII && $0.isLetter } }) else {
                throw ShapeError("Einsum", "'\(part)' of equation '\(text)' is not made of letters and one ellipsis")
            }
            return Array(pieces.map { $0.map(Optional.some) }.joined(separator: [nil]))
        }
        guard let left = sides.first, sides.count <= 2 else {
            throw ShapeError("Einsum", "equation '\(text)' has more than one arrow")
        }
        operands = try left.split(separator: ",", omittingEmptySubsequences: false).map(labels)
        result = try sides.count == 2 ? labels(sides[1]) : nil
    }

    /// An axis of an operand or of the result: one of those under the ellipsis, counted from the last, or a letter.
    enum Label: Hashable {
        case ellipsis(Int)
        case letter(Character)
    }

    struct Plan {
        var operands: [[Label]]
        var output: [Label]
        var sizes: [Label: Int]
    }

    /// The axes of operands of these shapes. Throws `ShapeError` when they do not fit the equation.
    func resolve(_ shapes: [[Int]]) throws -> Plan {
        guard shapes.count == operands.count else {
            throw ShapeError("Einsum", "expected \(operands.count) operands, got \(shapes.count)")
        }
        var plan = Plan(operands: [], output: [], sizes: [:])
        var widest = 0
        for (letters, shape) in zip(operands, shapes) {
            let hidden = letters.contains(nil) ? shape.count - (letters.count - 1) : 0
            guard hidden >= 0, letters.contains(nil) || letters.count == shape.count else {
                throw ShapeError(
                    "Einsum", "an operand of shape \(shape) does not fit '\(String(letters.map { $0 ?? "…" }))'")
            }
            widest = max(widest, hidden)
            let labels = expanded(letters, hidden: hidden)
            for (label, size) in zip(labels, shape) {
                let known = plan.sizes[label] ?? 1
                guard known == size || known == 1 || size == 1 else {
                    throw ShapeError("Einsum", "an axis has the sizes \(known) and \(size)")
                }
                plan.sizes[label] = known == 1 ? size : known
            }
            plan.operands.append(labels)
        }
        plan.output = try output(widest, of: plan)
        return plan
    }

    private func expanded(_ letters: [Character?], hidden: Int) -> [Label] {
        letters.flatMap { letter in
            letter.map { [.letter($0)] } ?? (0..<hidden).reversed().map { .ellipsis($0) }
        }
    }

    private func output(_ hidden: Int, of plan: Plan) throws -> [Label] {
        if let result {
            let labels = expanded(result, hidden: hidden)
            guard Set(labels).count == labels.count, labels.allSatisfy({ plan.sizes[$0] != nil }) else {
                throw ShapeError("Einsum", "the result names an axis twice, or one that no operand has")
            }
            return labels
        }
        let all = operands.flatMap { $0.compactMap { $0 } }
        let once = Set(all).filter { letter in all.count { $0 == letter } == 1 }.sorted()
        return (0..<hidden).reversed().map { .ellipsis($0) } + once.map { .letter($0) }
    }
}

/// A tensor whose axes have names.
private struct Term {
    typealias Label = EinsumEquation.Label
    var x: Tensor
    var labels: [Label]

    init(_ x: Tensor, _ labels: [Label]) { (self.x, self.labels) = (x, labels) }

    private func size(_ label: Label) -> Int { labels.firstIndex(of: label).map { x.shape[$0] } ?? 1 }

    /// Axes of one name become one: the elements where their positions agree.
    func diagonal() throws -> Term {
        var kept: [Label] = []
        for label in labels where !kept.contains(label) { kept.append(label) }
        if kept.count == labels.count { return self }
        var positions = [0]
        for label in kept {
            let axes = labels.indices.filter { labels[$0] == label }
            let size = x.shape[axes[0]]
            guard axes.allSatisfy({ x.shape[$0] == size }) else {
                throw ShapeError("Einsum", "an operand of shape \(x.shape) has no diagonal along axes \(axes)")
            }
            let stride = axes.reduce(0) { $0 + x.shape[($1 + 1)...].reduce(1, *) }
            positions = positions.flatMap { start in (0..<size).map { start + $0 * stride } }
        }
        let shape = kept.map { size($0) }
        let flat = try x.reshaped([x.count]).mapped(SliceGather(indices: NDArray(positions), axis: 0))
        return Term(try flat.reshaped(shape), kept)
    }

    /// Axes of size 1 repeated to the size that the equation gives their name.
    func stretched(to sizes: [Label: Int]) throws -> Term {
        let target = zip(labels, x.shape).map { sizes[$0] ?? $1 }
        return target == x.shape ? self : Term(try apply(BroadcastTo(target: target), x), labels)
    }

    func permuted(to order: [Label]) throws -> Tensor {
        try x.permuted(order.compactMap { labels.firstIndex(of: $0) })
    }

    /// Summed over every axis whose name is not kept.
    func summed(keeping kept: Set<Label>) throws -> Term {
        let axes = labels.indices.filter { !kept.contains(labels[$0]) }
        if axes.isEmpty { return self }
        return Term(try x.summed(over: axes, keepDims: false), labels.filter { kept.contains($0) })
    }

    /// The product with another term, summed over the axes that are not kept: one matrix product per batch element.
    func multiplied(by other: Term, keeping kept: Set<Label>) throws -> Term {
        let left = try summed(keeping: kept.union(other.labels))
        let right = try other.summed(keeping: kept.union(labels))
        let shared = left.labels.filter { right.labels.contains($0) }
        let (batch, inner) = (shared.filter { kept.contains($0) }, shared.filter { !kept.contains($0) })
        let rows = left.labels.filter { !shared.contains($0) }
        let columns = right.labels.filter { !shared.contains($0) }
        func count(_ labels: [Label], _ term: Term) -> Int { labels.reduce(1) { $0 * term.size($1) } }
        let (b, k) = (count(batch, left), count(inner, left))
        let x = try left.permuted(to: batch + rows + inner).reshaped([b, count(rows, left), k])
        let y = try right.permuted(to: batch + inner + columns).reshaped([b, k, count(columns, right)])
        let shape = batch.map { left.size($0) } + rows.map { left.size($0) } + columns.map { right.size($0) }
        return Term(try apply(MatrixProduct(), x, y).reshaped(shape), batch + rows + columns)
    }
}

/// Products of tensors summed over the axes that the result does not name. Throws `ShapeError` for a malformed equation and for
/// operands that do not fit it. Source: `torch.einsum`.
public func einsum(_ equation: String, _ operands: Tensor...) throws -> Tensor {
    try Op.Einsum(equation)(operands.map(Optional.some))[0]
}
