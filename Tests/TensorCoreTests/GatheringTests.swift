import TensorCore
import TestSupport
import Testing

struct GatheringTests {
    /// Σ a b, to compare an operation with its adjoint.
    private func inner(_ a: NDArray, _ b: NDArray) -> Double {
        zip(a.doubles(), b.doubles()).reduce(0) { $0 + $1.0 * $1.1 }
    }

    @Test func gathersAlongEveryAxis() throws {
        let x = randomArray([3, 4, 5])
        let reference = Reference(x)
        for axis in -3..<3 {
            let position = axis < 0 ? axis + 3 : axis
            let size = Int64(x.shape[position])
            for indices in [
                NDArray([0, size - 1, -1, 1], shape: [2, 2]), NDArray(scalar: Int64(-2)), NDArray([Int32(2), 0, 2]),
                NDArray([Int64](), shape: [0]),
            ] {
                let target = Array(x.shape[..<position] + indices.shape + x.shape[(position + 1)...])
                let places = indices.integers().map { $0 < 0 ? $0 + Int(size) : $0 }
                let expected = Reference(target) { index in
                    let middle = Array(index[position..<(position + indices.rank)])
                    let place = places[flat(middle, indices.shape)]
                    return reference[Array(index[..<position] + [place] + index[(position + indices.rank)...])]
                }
                let y = try x.gathered(indices, axis: axis)
                #expect(y.isBitIdentical(to: expected.array()), "axis \(axis)")
                let g = randomArray(target, seed: 5)
                let back = try NDArray.scatterAdd(g, indices: indices, axis: axis, inputShape: x.shape)
                #expect(back.shape == x.shape && Swift.abs(inner(y, g) - inner(x, back)) < 1e-12)
            }
        }
        #expect(throws: ShapeError("Gather", "index 4 is outside an axis of 4")) {
            try x.gathered(NDArray([4]), axis: 1)
        }
        #expect(throws: ShapeError.self) { try x.gathered(NDArray([-5]), axis: 1) }
        #expect(throws: ShapeError.self) { try x.gathered(NDArray([Float(0)]), axis: 1) }
        #expect(throws: ShapeError.self) {
            try NDArray.scatterAdd(x, indices: NDArray([0]), axis: 0, inputShape: [3, 4, 5])
        }
    }

    @Test(arguments: [DType.float32, .float16, .int8, .int64, .uint16])
    func scatterAddCountsRepeats(_ dtype: DType) throws {
        let g = NDArray([1.0, 2, 3, 4, 5, 6], shape: [3, 2]).converted(to: dtype)
        let back = try NDArray.scatterAdd(g, indices: NDArray([1, 0, 1]), axis: 0, inputShape: [2, 2])
        #expect(back.dtype == dtype && back.doubles() == [3, 4, 6, 8])
    }

    @Test func gathersTuples() throws {
        let x = randomArray([2, 3, 4])
        let reference = Reference(x)
        for (shape, batchDims) in [
            ([2, 1], 0), ([5, 2], 0), ([2, 2, 3], 0), ([2, 1], 1), ([2, 5, 2], 1), ([2, 3, 6, 1], 2),
        ]
            as [([Int], Int)]
        {
            let depth = shape[shape.count - 1]
            let raw = randomArray(shape, seed: 11, scale: 100).integers()
            let indices = NDArray(
                raw.enumerated().map { position, value in
                    let size = x.shape[batchDims + position % depth]
                    return Int64((value % size + size) % size - (position % 3 == 0 ? size : 0))
                }, shape: shape)
            let values = indices.integers()
            let target = Array(shape.dropLast() + x.shape[(batchDims + depth)...])
            let expected = Reference(target) { index in
                let tuple = flat(Array(index.prefix(shape.count - 1)), Array(shape.dropLast()))
                let places = (0..<depth).map { place in
                    let value = values[tuple * depth + place]
                    return value < 0 ? value + x.shape[batchDims + place] : value
                }
                return reference[Array(index.prefix(batchDims) + places + index.dropFirst(shape.count - 1))]
            }
            let y = try x.gatheredND(indices, batchDims: batchDims)
            #expect(y.isBitIdentical(to: expected.array()), "\(shape) \(batchDims)")
            let g = randomArray(target, seed: 6)
            let back = try NDArray.scatterAddND(g, indices: indices, batchDims: batchDims, inputShape: x.shape)
            #expect(Swift.abs(inner(y, g) - inner(x, back)) < 1e-12)
        }
        #expect(throws: ShapeError.self) { try x.gatheredND(NDArray([2, 0], shape: [1, 2])) }
        #expect(throws: ShapeError.self) { try x.gatheredND(NDArray([0, 0, 0, 0], shape: [1, 4])) }
        #expect(throws: ShapeError.self) { try x.gatheredND(NDArray([0], shape: [1, 1]), batchDims: 1) }
        #expect(throws: ShapeError.self) { try x.gatheredND(NDArray(scalar: Int64(0))) }
    }

    @Test func gathersElements() throws {
        let x = randomArray([3, 4])
        let reference = Reference(x)
        for axis in -2..<2 {
            let position = axis < 0 ? axis + 2 : axis
            let indices = NDArray([0, -1, 2, 1, 1, -3], shape: [2, 3])
            let expected = Reference([2, 3]) { index in
                var source = index
                let value = indices.integers()[flat(index, [2, 3])]
                source[position] = value < 0 ? value + x.shape[position] : value
                return reference[source]
            }
            let y = try x.gatherElements(indices, axis: axis)
            #expect(y.isBitIdentical(to: expected.array()), "axis \(axis)")
            let g = randomArray([2, 3], seed: 6)
            let back = try NDArray.scatterElementsAdd(g, indices: indices, axis: axis, inputShape: x.shape)
            #expect(Swift.abs(inner(y, g) - inner(x, back)) < 1e-12)
            let written = try x.scatteredElements(indices, updates: g, axis: axis)
            #expect(try written.gatherElements(indices, axis: axis).doubles()[0] == g.doubles()[0])
        }
        let written = try NDArray([1, 2, 3]).scatteredElements(NDArray([2, -3]), updates: NDArray([7, 8]), axis: 0)
        #expect(written.elements(as: Int.self) == [8, 2, 7])
        #expect(throws: ShapeError.self) { try x.gatherElements(NDArray([0]), axis: 0) }
        #expect(throws: ShapeError.self) { try x.gatherElements(NDArray([3], shape: [1, 1]), axis: 0) }
        #expect(throws: ShapeError.self) { try x.gatherElements(NDArray.zeros([5, 1], dtype: .int64), axis: 1) }
    }
}
