import TensorCore

extension BatchOperands {
    /// `MatMul`: the rows of a, the columns of b and the outer axes of both may be of pictures, the inner axis may not.
    func product() -> BatchRelation {
        guard hasPictures else { return .counted }
        guard let a = operand(0), let b = operand(1), !a.shape.isEmpty, !b.shape.isEmpty else { return .mixed }
        let rank = outputs[0].count, isVector = (a: a.shape.count == 1, b: b.shape.count == 1)
        let outer = max(a.shape.count, b.shape.count) - 2
        switch (a.relation.pictures, b.relation.pictures) {
        case (let left?, nil):
            let inner = a.shape.count - 1
            guard !isVector.a, left.axis != inner else { return .mixed }
            if left.axis == inner - 1 {
                return b.relation == .constant ? .images(left.moved(to: rank - (isVector.b ? 1 : 2))) : .mixed
            }
            let axis = left.axis + outer + 2 - a.shape.count
            return isSame(b, at: axis, outer: outer, left) ? .images(left.moved(to: axis)) : .mixed
        case (nil, let right?):
            guard !isVector.b, right.axis != b.shape.count - 2 else { return .mixed }
            if right.axis == b.shape.count - 1 {
                return a.relation == .constant ? .images(right.moved(to: rank - 1)) : .mixed
            }
            let axis = right.axis + outer + 2 - b.shape.count
            return isSame(a, at: axis, outer: outer, right) ? .images(right.moved(to: axis)) : .mixed
        case (let left?, let right?):
            guard left.axis < a.shape.count - 2, right.axis < b.shape.count - 2 else { return .mixed }
            let moved = left.moved(to: left.axis + outer + 2 - a.shape.count)
            return moved == right.moved(to: right.axis + outer + 2 - b.shape.count) ? .images(moved) : .mixed
        case (nil, nil): return .mixed
        }
    }

    /// Whether a constant matrix, or several, is the same for every picture at outer axis `axis` of the product.
    private func isSame(_ operand: Operand, at axis: Int, outer: Int, _ pictures: PictureAxis) -> Bool {
        guard operand.relation == .constant else { return false }
        let own = axis - (outer + 2 - operand.shape.count)
        return own < 0 || operand.shape[own] == 1 || self.pictures == 1
    }

    /// `Gemm`: the rows of a and c, or the columns of b, may be of pictures.
    func gemm(transA: Bool, transB: Bool) -> BatchRelation {
        guard hasPictures else { return .counted }
        guard let a = operand(0), let b = operand(1) else { return .mixed }
        var found: PictureAxis?
        if let left = a.relation.pictures, left.axis == (transA ? 1 : 0), b.relation == .constant {
            found = left.moved(to: 0)
        } else if let right = b.relation.pictures, right.axis == (transB ? 0 : 1), a.relation == .constant {
            found = right.moved(to: 1)
        }
        guard let found else { return .mixed }
        guard let c = operand(2) else { return .images(found) }
        // The third operand is added to the product.
        let sum = BatchOperands(pictures: pictures, inputs: [Operand(.images(found), outputs[0]), c], outputs: outputs)
        return sum.aligned()
    }

    /// `Gather`: indices along another axis than the pictures', indices of pictures into a constant, or indices that take
    /// every picture's rows from that picture, for each in the same way.
    func gathered(axis: Int) -> BatchRelation {
        guard hasPictures else { return .counted }
        guard let x = operand(0), let indices = operand(1) else { return .mixed }
        let rank = indices.shape.count
        switch (x.relation.pictures, indices.relation.pictures) {
        case (let found?, nil) where found.axis != axis:
            guard indices.relation == .constant else { return .mixed }
            return .images(found.axis < axis ? found : found.moved(to: found.axis + rank - 1))
        case (let found?, nil):
            guard found.repeats == 1, let places = indices.value?.integers(), places.count % pictures == 0 else {
                return .mixed
            }
            let each = places.count / pictures
            for (position, place) in places.enumerated() {
                let (picture, index) = position.quotientAndRemainder(dividingBy: max(each, 1))
                let own = place - picture * found.rows
                guard 0..<found.rows ~= own, own == places[index] else { return .mixed }
            }
            let outer = x.shape[..<axis].reduce(1, *), inner = x.shape[(axis + 1)...].reduce(each, *)
            let moved = PictureAxis(
                outer: outer, inner: inner, shape: outputs[0], pictures: pictures, preferred: preferredAxis ?? axis)
            return moved.map { .images($0) } ?? .mixed
        case (nil, let found?):
            return x.relation == .constant ? .images(found.moved(to: found.axis + axis)) : .mixed
        default: return .mixed
        }
    }

    /// Operands that go together along their first `count` axes, which the result has too.
    func together(upTo count: Int) -> BatchRelation {
        guard hasPictures else { return .counted }
        let found = Set(inputs.compactMap { $0?.relation.pictures })
        guard found.count == 1, let found = found.first, found.axis < count else { return .mixed }
        let others = inputs.compactMap { $0 }.filter { $0.relation.pictures == nil }
        guard others.allSatisfy({ $0.relation == .constant && pictures == 1 }) else { return .mixed }
        return .images(found)
    }

    /// Attention: the first `operands` inputs are `[N, ...]`, and what else goes in is too or is the same for every picture, as a
    /// mask that broadcasts to `[N, heads, S, T]` is.
    ///
    /// - `examples`: further operands that have numbers for each example, such as a mask of keys.
    func attention(operands count: Int, examples: Set<Int> = []) -> BatchRelation {
        guard hasPictures else { return .counted }
        guard let found = operand(0)?.relation.pictures, found.axis == 0 else { return .mixed }
        for (index, operand) in inputs.enumerated() {
            guard let operand else { continue }
            if operand.relation == .images(found) { continue }
            guard index >= count, !examples.contains(index), operand.relation == .constant,
                operand.shape.count < 4 || operand.shape[0] == 1 || pictures == 1
            else { return .mixed }
        }
        return .images(found)
    }
}
