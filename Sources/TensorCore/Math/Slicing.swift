/// What `padded` puts around an array.
public enum PadMode: Sendable, Hashable {
    case constant(Double)
    /// Mirrors at the border elements, which are not repeated.
    case reflect
    /// Repeats the border elements.
    case edge
    /// Continues from the other end.
    case wrap
}

/// Where a slice begins in an array, how far it steps, and its shape.
private struct SliceGeometry {
    var offset = 0
    var strides: [Int]
    var shape: [Int]

    /// Bounds as ONNX Slice reads them: negative ones count from the end, all are clamped to the axis.
    init(_ shape: [Int], starts: [Int], ends: [Int], axes: [Int], steps: [Int]) throws {
        guard starts.count == ends.count, starts.count == axes.count, starts.count == steps.count else {
            throw ShapeError("Slice", "expected equally many starts, ends, axes and steps")
        }
        guard checkedElementCount(shape, bytesPerElement: 1) != nil else {
            throw ShapeError("Slice", "an array of shape \(shape) is too large")
        }
        self.shape = shape
        self.strides = contiguousStrides(shape)
        var seen: Set<Int> = []
        for (index, axis) in axes.enumerated() {
            let axis = try requireAxis(axis, rank: shape.count, "Slice")
            guard seen.insert(axis).inserted else { throw ShapeError("Slice", "axis \(axis) is given twice") }
            guard steps[index] != 0 else { throw ShapeError("Slice", "a step is 0") }
            let size = shape[axis]
            if size == 0 { continue }
            func position(_ value: Int, _ range: ClosedRange<Int>) -> Int {
                min(max(value < 0 ? value + size : value, range.lowerBound), range.upperBound)
            }
            let isForward = steps[index] > 0
            let start = position(starts[index], isForward ? 0...size : 0...size - 1)
            let end = position(ends[index], isForward ? 0...size : -1...size - 1)
            let distance = isForward ? end - start : start - end
            // A step beyond the axis takes one element, whatever its length.
            let step = Int(min(steps[index].magnitude, UInt(size)))
            self.shape[axis] = distance > 0 ? (distance - 1) / step + 1 : 0
            if distance > 0 { offset += start * strides[axis] }
            strides[axis] *= isForward ? step : -step
        }
    }
}

extension NDArray {
    /// Elements `starts[i] ..< ends[i]` by `steps[i]` along `axes[i]`, all of the other axes. ONNX Slice 10...
    ///
    /// Negative bounds count from the end, bounds are clamped, negative steps go backwards.
    /// A contiguous run along the first axis shares storage.
    public func slice(starts: [Int], ends: [Int], axes: [Int], steps: [Int]) throws -> NDArray {
        let geometry = try SliceGeometry(shape, starts: starts, ends: ends, axes: axes, steps: steps)
        if geometry.shape == shape && geometry.strides == contiguousStrides(shape) { return self }
        if geometry.shape.dropFirst() == shape.dropFirst(), geometry.strides == contiguousStrides(shape) {
            return NDArray(
                storage: storage, byteOffset: byteOffset + geometry.offset * dtype.size, shape: geometry.shape,
                dtype: dtype)
        }
        return try gatheringStrided(geometry.shape, offset: geometry.offset, geometry.strides, "Slice")
    }

    /// The shape of `slice`.
    public static func sliceShape(
        _ shape: [Int], starts: [Int], ends: [Int], axes: [Int], steps: [Int]
    ) throws -> [Int] {
        try SliceGeometry(shape, starts: starts, ends: ends, axes: axes, steps: steps).shape
    }

    /// Writes `values`, shaped like the slice, where `slice` would read.
    public mutating func assignSlice(
        _ values: NDArray, starts: [Int], ends: [Int], axes: [Int], steps: [Int]
    ) throws {
        let geometry = try SliceGeometry(shape, starts: starts, ends: ends, axes: axes, steps: steps)
        guard geometry.shape == values.shape, values.dtype == dtype else {
            throw ShapeError(
                "Slice", "expected \(geometry.shape) of \(dtype), got \(values.shape) of \(values.dtype)")
        }
        let size = dtype.size
        write { output in
            values.read {
                copyStrided(
                    geometry.shape, size: size, from: $0, contiguousStrides(geometry.shape),
                    to: output + geometry.offset * size, geometry.strides)
            }
        }
    }

    /// The adjoint of `slice`: zeros of `inputShape` with `gradOutput` where the slice was.
    public static func sliceGradient(
        _ gradOutput: NDArray, inputShape: [Int], starts: [Int], ends: [Int], axes: [Int], steps: [Int]
    ) throws -> NDArray {
        try requireAllocatable(inputShape, gradOutput.dtype, "Slice gradient")
        let geometry = try SliceGeometry(inputShape, starts: starts, ends: ends, axes: axes, steps: steps)
        guard geometry.shape == gradOutput.shape else {
            throw ShapeError("Slice gradient", "expected shape \(geometry.shape), got \(gradOutput.shape)")
        }
        var result = NDArray.zeros(inputShape, dtype: gradOutput.dtype)
        let size = gradOutput.dtype.size
        result.write { output in
            gradOutput.read {
                copyStrided(
                    geometry.shape, size: size, from: $0, contiguousStrides(geometry.shape),
                    to: output + geometry.offset * size, geometry.strides)
            }
        }
        return result
    }

    /// Adds `before[i]` and `after[i]` elements around axis i; negative numbers remove them. ONNX Pad, `np.pad`.
    ///
    /// - Throws: `ShapeError` for other than one number per axis, when more is removed than there is, and when an empty
    ///   axis would have to be continued.
    public func padded(before: [Int], after: [Int], mode: PadMode = .constant(0)) throws -> NDArray {
        let target = try paddedShape(before, after)
        if !zip(before, after).contains(where: { $0 != 0 || $1 != 0 }) { return self }
        guard case .constant(let value) = mode else {
            return try paddingMaps(before, after, mode).reduce(self) { array, map in
                try array.takingSlices(map.indices, axis: map.axis, "Pad")
            }
        }
        var result = NDArray.full(target, value, dtype: dtype)
        let strides = contiguousStrides(shape)
        let targetStrides = contiguousStrides(target)
        let kept = shape.indices.map { shape[$0] + Swift.min(before[$0], 0) + Swift.min(after[$0], 0) }
        guard kept.allSatisfy({ $0 > 0 }) else { return result }
        let from = zip(before, strides).reduce(0) { $0 + Swift.max(-$1.0, 0) * $1.1 }
        let to = zip(before, targetStrides).reduce(0) { $0 + Swift.max($1.0, 0) * $1.1 }
        result.write { output in
            read {
                copyStrided(
                    kept, size: dtype.size, from: $0 + from * dtype.size, strides, to: output + to * dtype.size,
                    targetStrides)
            }
        }
        return result
    }

    /// The adjoint of `padded`: what each element of an input of `inputShape` contributed to, summed.
    public static func padGradient(
        _ gradOutput: NDArray, inputShape: [Int], before: [Int], after: [Int], mode: PadMode = .constant(0)
    ) throws -> NDArray {
        try requireAllocatable(inputShape, gradOutput.dtype, "Pad gradient")
        let expected = try NDArray.paddedShape(inputShape, before, after)
        guard gradOutput.shape == expected else {
            throw ShapeError("Pad gradient", "expected shape \(expected), got \(gradOutput.shape)")
        }
        guard case .constant = mode else {
            let maps = try NDArray.paddingMaps(inputShape, before, after, mode)
            return try maps.reversed().reduce(gradOutput) { gradient, map in
                try gradient.addingSlices(map.indices, axis: map.axis, size: inputShape[map.axis])
            }
        }
        return try gradOutput.padded(before: before.map { -$0 }, after: after.map { -$0 })
    }

    private func paddedShape(_ before: [Int], _ after: [Int]) throws -> [Int] {
        let target = try NDArray.paddedShape(shape, before, after)
        try requireAllocatable(target, dtype, "Pad")
        return target
    }

    private static func paddedShape(_ shape: [Int], _ before: [Int], _ after: [Int]) throws -> [Int] {
        guard before.count == shape.count, after.count == shape.count else {
            throw ShapeError("Pad", "expected \(shape.count) numbers on each side, got \(before) and \(after)")
        }
        return try shape.indices.map { axis in
            let (front, overflowA) = shape[axis].addingReportingOverflow(before[axis])
            let (size, overflowB) = front.addingReportingOverflow(after[axis])
            guard !overflowA, !overflowB, size >= 0 else {
                throw ShapeError("Pad", "\(before) and \(after) do not fit shape \(shape)")
            }
            return size
        }
    }

    private func paddingMaps(
        _ before: [Int], _ after: [Int], _ mode: PadMode
    ) throws -> [(axis: Int, indices: [Int64])] {
        try NDArray.paddingMaps(shape, before, after, mode)
    }

    /// For each padded axis, which input position every output position repeats.
    private static func paddingMaps(
        _ shape: [Int], _ before: [Int], _ after: [Int], _ mode: PadMode
    ) throws -> [(axis: Int, indices: [Int64])] {
        try shape.indices.filter { before[$0] != 0 || after[$0] != 0 }.map { axis in
            // Removed elements do not take part in the continuation.
            let first = Swift.max(-before[axis], 0)
            let size = shape[axis] - first - Swift.max(-after[axis], 0)
            guard size > 0 || (before[axis] <= 0 && after[axis] <= 0) else {
                throw ShapeError("Pad", "axis \(axis) of \(shape) is empty and cannot be continued")
            }
            let front = Swift.max(before[axis], 0)
            let length = front + Swift.max(size, 0) + Swift.max(after[axis], 0)
            try requireAllocatable([length], .int64, "Pad")
            return (axis, (0..<length).map { Int64(first + continued($0 - front, size, mode)) })
        }
    }

    /// The position in `0 ..< size` that `position` outside of it repeats.
    private static func continued(_ position: Int, _ size: Int, _ mode: PadMode) -> Int {
        func remainder(_ period: Int) -> Int { (position % period + period) % period }
        switch mode {
        case .constant, .edge: return Swift.min(Swift.max(position, 0), size - 1)
        case .wrap: return remainder(size)
        case .reflect:
            if size == 1 { return 0 }
            let place = remainder(2 * (size - 1))
            return place < size ? place : 2 * (size - 1) - place
        }
    }
}
