import Foundation
import TensorCore
import TestSupport
import Testing

/// Every order of 0 ..< rank.
private func permutations(_ rank: Int) -> [[Int]] {
    guard rank > 0 else { return [[]] }
    return permutations(rank - 1).flatMap { order in
        (0...order.count).map { Array(order[..<$0] + [rank - 1] + order[$0...]) }
    }
}

struct RearrangementTests {
    @Test(arguments: [DType.bool, .float16, .float32, .float64])
    func transposes(_ dtype: DType) throws {
        for shape in [[], [5], [3, 4], [33, 20], [2, 3, 4], [1, 5, 1, 2], [3, 17, 18], [2, 3, 4, 5], [0, 3, 2]] {
            let x = randomArray(shape, dtype, scale: 10)
            let reference = Reference(x)
            for permutation in permutations(shape.count) {
                let expected = Reference(permutation.map { shape[$0] }) { index in
                    var source = index
                    for (axis, from) in permutation.enumerated() { source[from] = index[axis] }
                    return reference[source]
                }
                let result = try x.transposed(permutation)
                #expect(result.isBitIdentical(to: expected.array(dtype)), "\(shape) \(permutation)")
            }
        }
        #expect(throws: ShapeError.self) { try randomArray([2, 3]).transposed([0, 0]) }
        #expect(throws: ShapeError.self) { try randomArray([2, 3]).transposed([0]) }
    }

    @Test func transposesLargeMatrices() throws {
        let x = randomArray([2, 301, 277], .float32)
        let y = try x.transposed([0, 2, 1])
        #expect(y.shape == [2, 277, 301])
        let (source, target) = (x.elements(as: Float.self), y.elements(as: Float.self))
        for index in stride(from: 0, to: target.count, by: 61) {
            let (batch, row, column) = (index / (277 * 301), index / 301 % 277, index % 301)
            #expect(target[index] == source[batch * 277 * 301 + column * 277 + row])
        }
        #expect(try y.transposed([0, 2, 1]).isBitIdentical(to: x))
    }

    @Test func manyAxes() throws {
        // Eighteen separate axes, and more axes than a kernel walks.
        for shape in [[Int](repeating: 2, count: 18), (0..<40).map { $0 % 5 == 0 ? 3 : 1 }] {
            let x = randomArray(shape)
            let order = Array((0..<shape.count).reversed())
            let y = try x.transposed(order)
            #expect(!y.reshaped(shape).isBitIdentical(to: x))
            #expect(try y.transposed(order).isBitIdentical(to: x))
        }
        let (x, row) = (randomArray([Int](repeating: 2, count: 18)), (0..<18).map { 1 + $0 % 2 })
        let product = try NDArray.binary(.mul, x, NDArray.ones(row, dtype: .float64))
        #expect(product.isBitIdentical(to: x))
        let wide = NDArray.zeros([2] + [Int](repeating: 1, count: 33))
        #expect(throws: ShapeError.self) { try NDArray.binary(.mul, wide, NDArray.zeros([2])) }
    }

    @Test func broadcasts() throws {
        for (shape, target) in [
            ([], [2, 3]), ([3], [2, 3]), ([2, 1], [2, 3]), ([1, 3, 1], [4, 3, 5]), ([1], [0]), ([4, 1, 1], [4, 3, 7]),
            ([2, 3], [2, 3]), ([1, 1], [1, 1, 1]),
        ] as [([Int], [Int])] {
            let x = randomArray(shape, .float32)
            let reference = Reference(x)
            let expected = Reference(target) { reference.broadcast($0) }.array(.float32)
            #expect(try x.broadcast(to: target).isBitIdentical(to: expected), "\(shape) \(target)")
        }
        #expect(throws: ShapeError("Expand", "shape [2, 3] does not broadcast to [2, 1]")) {
            try NDArray.zeros([2, 3]).broadcast(to: [2, 1])
        }
        #expect(throws: ShapeError.self) { try NDArray.zeros([2, 3]).broadcast(to: [3]) }
        #expect(throws: ShapeError.self) { try NDArray.zeros([1]).broadcast(to: [-1]) }
        #expect(throws: ShapeError.self) { try NDArray.zeros([1]).broadcast(to: [1 << 40, 1 << 40]) }
    }

    /// The positions of ONNX's Slice: Python's, but for a negative step from before the beginning, which starts at 0.
    private func sliced(_ size: Int, _ start: Int, _ end: Int, _ step: Int) -> [Int] {
        func clamp(_ value: Int, _ low: Int, _ high: Int) -> Int {
            Swift.min(Swift.max(value < 0 ? value + size : value, low), high)
        }
        if step > 0 {
            return Array(stride(from: clamp(start, 0, size), to: clamp(end, 0, size), by: step))
        }
        return Array(stride(from: clamp(start, 0, size - 1), to: clamp(end, -1, size - 1), by: step))
    }

    @Test func slices() throws {
        let x = randomArray([5, 4])
        let reference = Reference(x)
        let bounds = [Int.min, -7, -5, -3, -1, 0, 1, 3, 4, 5, 9, Int.max]
        for start in bounds {
            for end in bounds {
                for step in [1, 2, 3, 9, -1, -2, -9, Int.max, Int.min] {
                    let rows = sliced(5, start, end, step)
                    let expected = Reference([rows.count, 4]) { reference[[rows[$0[0]], $0[1]]] }.array()
                    let result = try x.slice(starts: [start], ends: [end], axes: [0], steps: [step])
                    #expect(result.isBitIdentical(to: expected), "\(start):\(end):\(step)")
                    let g = randomArray(result.shape, seed: 7)
                    let spread = try NDArray.sliceGradient(
                        g, inputShape: [5, 4], starts: [start], ends: [end], axes: [0], steps: [step])
                    var scattered = Reference([5, 4]) { _ in 0 }
                    let source = Reference(g)
                    for (row, target) in rows.enumerated() {
                        for column in 0..<4 { scattered[[target, column]] = source[[row, column]] }
                    }
                    #expect(spread.isBitIdentical(to: scattered.array()), "gradient \(start):\(end):\(step)")
                }
            }
        }
        let corner = try x.slice(starts: [-1, 3], ends: [-9, 1], axes: [-1, -2], steps: [-2, -1])
        #expect(corner.isBitIdentical(to: Reference([2, 2]) { reference[[3 - $0[0], 3 - 2 * $0[1]]] }.array()))
        #expect(throws: ShapeError.self) { try x.slice(starts: [0], ends: [1], axes: [0], steps: [0]) }
        #expect(throws: ShapeError.self) { try x.slice(starts: [0, 0], ends: [1, 1], axes: [0, -2], steps: [1, 1]) }
        #expect(throws: ShapeError.self) { try x.slice(starts: [0], ends: [1], axes: [2], steps: [1]) }
        #expect(throws: ShapeError.self) { try x.slice(starts: [0], ends: [], axes: [0], steps: [1]) }
        let empty = try NDArray.zeros([0, 2]).slice(starts: [-1], ends: [5], axes: [0], steps: [-1])
        #expect(empty.shape == [0, 2])
        let rows = try x.slice(starts: [1], ends: [3], axes: [0], steps: [1])
        #expect(rows.sharesStorage(with: x))
    }

    @Test func pads() throws {
        func source(_ position: Int, _ size: Int, _ mode: PadMode) -> Int? {
            var position = position
            if (0..<size).contains(position) { return position }
            switch mode {
            case .constant: return nil
            case .edge: return Swift.min(Swift.max(position, 0), size - 1)
            case .wrap:
                while position < 0 { position += size }
                return position % size
            case .reflect:
                if size == 1 { return 0 }
                while !(0..<size).contains(position) {
                    position = position < 0 ? -position : 2 * (size - 1) - position
                }
                return position
            }
        }
        for mode in [PadMode.constant(2.5), .reflect, .edge, .wrap] {
            for (before, after) in [([0, 0], [0, 0]), ([1, 2], [3, 0]), ([0, 1], [0, 1]), ([7, 0], [0, 11])] {
                for shape in [[3, 4], [1, 5]] {
                    let x = randomArray(shape, .float64)
                    let reference = Reference(x)
                    let target = shape.indices.map { shape[$0] + before[$0] + after[$0] }
                    let expected = Reference(target) { index in
                        let places = shape.indices.map { source(index[$0] - before[$0], shape[$0], mode) }
                        return places.contains(nil) ? 2.5 : reference[places.map { $0 ?? 0 }]
                    }
                    let y = try x.padded(before: before, after: after, mode: mode)
                    #expect(y.isBitIdentical(to: expected.array()), "\(mode) \(before) \(after) \(shape)")
                    // <pad(x), g> = <x, padGradient(g)> for zero padding.
                    let g = randomArray(target, seed: 3)
                    let back = try NDArray.padGradient(
                        g, inputShape: shape, before: before, after: after, mode: mode)
                    let zeroed = mode == .constant(2.5) ? try x.padded(before: before, after: after) : y
                    let left = zip(zeroed.doubles(), g.doubles()).reduce(0) { $0 + $1.0 * $1.1 }
                    let right = zip(x.doubles(), back.doubles()).reduce(0) { $0 + $1.0 * $1.1 }
                    #expect(back.shape == shape && Swift.abs(left - right) < 1e-12, "\(mode) gradient")
                }
            }
        }
        let x = NDArray([1, 2, 3, 4, 5])
        #expect(try x.padded(before: [-1], after: [2]).elements(as: Int.self) == [2, 3, 4, 5, 0, 0])
        #expect(try x.padded(before: [-1], after: [-2], mode: .edge).elements(as: Int.self) == [2, 3])
        #expect(try x.padded(before: [-5], after: [2], mode: .constant(9)).elements(as: Int.self) == [9, 9])
        #expect(try x.padded(before: [2], after: [-3], mode: .constant(9)).elements(as: Int.self) == [9, 9, 1, 2])
        #expect(throws: ShapeError.self) { try x.padded(before: [-6], after: [0]) }
        #expect(throws: ShapeError.self) { try x.padded(before: [1, 1], after: [0, 0]) }
        #expect(throws: ShapeError.self) { try x.padded(before: [Int.max], after: [Int.max]) }
        #expect(throws: ShapeError.self) { try NDArray.zeros([0]).padded(before: [1], after: [0], mode: .edge) }
        #expect(try NDArray.zeros([0]).padded(before: [1], after: [1]).elements(as: Float.self) == [0, 0])
    }

    @Test func concatenatesAndSplits() throws {
        for axis in -3..<3 {
            let position = axis < 0 ? axis + 3 : axis
            let sizes = [2, 0, 1, 3]
            let parts = sizes.enumerated().map { index, size in
                var shape = [2, 3, 4]
                shape[position] = size
                return randomArray(shape, .float32, seed: UInt64(index + 1))
            }
            let joined = try NDArray.concatenate(parts, axis: axis)
            #expect(joined.shape[position] == 6)
            let back = try joined.split(sizes: sizes, axis: axis)
            for (part, other) in zip(parts, back) { #expect(part.isBitIdentical(to: other), "axis \(axis)") }
            var start = 0
            for part in parts {
                let slice = try joined.slice(
                    starts: [start], ends: [start + part.shape[position]], axes: [axis], steps: [1])
                #expect(slice.isBitIdentical(to: part))
                start += part.shape[position]
            }
        }
        let x = NDArray.zeros([2, 3])
        #expect(throws: ShapeError.self) { try NDArray.concatenate([], axis: 0) }
        #expect(throws: ShapeError.self) { try NDArray.concatenate([x, NDArray.zeros([2, 2])], axis: 0) }
        #expect(throws: ShapeError.self) { try NDArray.concatenate([x, NDArray.zeros([2])], axis: 0) }
        #expect(throws: ShapeError.self) {
            try NDArray.concatenate([x, NDArray.zeros([2, 3], dtype: .int8)], axis: 0)
        }
        #expect(throws: ShapeError.self) { try x.split(sizes: [1, 1], axis: 1) }
        #expect(throws: ShapeError.self) { try x.split(sizes: [4, -1], axis: 1) }
    }
}
