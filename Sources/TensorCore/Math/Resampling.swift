/// How one axis is resampled: every new element is a weighted sum of `taps` old ones.
public struct AxisResampling: Sendable {
    public let inputSize: Int
    /// Old elements that a new one is made of.
    public let taps: Int
    /// `[outputSize, taps]`, each inside of the axis.
    public let positions: [Int]
    /// `[outputSize, taps]`.
    public let weights: [Double]
    public var outputSize: Int { positions.count / taps }

    public init(inputSize: Int, taps: Int, positions: [Int], weights: [Double]) {
        precondition(
            taps > 0 && positions.count == weights.count && positions.count % taps == 0
                && positions.allSatisfy { $0 >= 0 && $0 < inputSize }, "AxisResampling: a position is outside")
        self.inputSize = inputSize
        self.taps = taps
        self.positions = positions
        self.weights = weights
    }

    /// True when every new element is one of the old ones.
    public var isSelection: Bool { taps == 1 && weights.allSatisfy { $0 == 1 } }
}

extension NDArray {
    /// Weighted sums of the elements along `axis`, for floating-point elements.
    public func resampled(_ plan: AxisResampling, axis: Int) throws -> NDArray {
        if dtype.isHalf { return try throughFloat32 { try $0.resampled(plan, axis: axis) } }
        let (outer, inner, target) = try resamplingSizes(
            axis, from: plan.inputSize, to: plan.outputSize, "Resize")
        return try NDArray.produce(target, dtype, "Resize") { output in
            read { input in
                switch dtype {
                case .float32: resample(plan, input.floats, output.floats, outer: outer, inner: inner)
                default: resample(plan, input.doubles, output.doubles, outer: outer, inner: inner)
                }
            }
        }
    }

    /// The adjoint of `resampled`: every element of the gradient added, weighted, to the old elements it was made of.
    public func resampledAdjoint(_ plan: AxisResampling, axis: Int) throws -> NDArray {
        if dtype.isHalf { return try throughFloat32 { try $0.resampledAdjoint(plan, axis: axis) } }
        let (outer, inner, target) = try resamplingSizes(
            axis, from: plan.outputSize, to: plan.inputSize, "Resize gradient")
        try requireAllocatable(target, dtype, "Resize gradient")
        var result = NDArray.zeros(target, dtype: dtype)
        result.write { output in
            read { input in
                switch dtype {
                case .float32: resampleAdjoint(plan, input.floats, output.floats, outer: outer, inner: inner)
                default: resampleAdjoint(plan, input.doubles, output.doubles, outer: outer, inner: inner)
                }
            }
        }
        return result
    }

    private func resamplingSizes(
        _ axis: Int, from size: Int, to newSize: Int, _ operation: String
    ) throws -> (outer: Int, inner: Int, target: [Int]) {
        guard shape.indices.contains(axis), shape[axis] == size, dtype.isFloatingPoint else {
            throw ShapeError(
                operation, "expected floating-point numbers with \(size) along axis \(axis), got \(dtype) \(shape)")
        }
        var target = shape
        target[axis] = newSize
        return (product(shape[..<axis]), product(shape[(axis + 1)...]), target)
    }
}

@inline(__always)
private func resample<T: BinaryFloatingPoint>(
    _ plan: AxisResampling, _ x: UnsafePointer<T>, _ y: UnsafeMutablePointer<T>, outer: Int, inner: Int
) {
    let (size, newSize, taps) = (plan.inputSize, plan.outputSize, plan.taps)
    let weights = plan.weights.map { T($0) }
    plan.positions.withUnsafeBufferPointer { positions in
        weights.withUnsafeBufferPointer { weights in
            parallelRange(outer * newSize, grain: grain(elementsPerUnit: inner * taps)) { begin, end in
                for row in begin..<end {
                    let (image, place) = row.quotientAndRemainder(dividingBy: newSize)
                    let source = x + image * size * inner
                    let target = y + row * inner
                    if inner == 1 {
                        var sum: T = 0
                        for tap in place * taps..<(place + 1) * taps { sum += weights[tap] * source[positions[tap]] }
                        target[0] = sum
                        continue
                    }
                    for tap in 0..<taps {
                        let weight = weights[place * taps + tap]
                        let line = source + positions[place * taps + tap] * inner
                        if tap == 0 {
                            for index in 0..<inner { target[index] = weight * line[index] }
                        } else if weight != 0 {
                            for index in 0..<inner { target[index] += weight * line[index] }
                        }
                    }
                }
            }
        }
    }
}

@inline(__always)
private func resampleAdjoint<T: BinaryFloatingPoint>(
    _ plan: AxisResampling, _ g: UnsafePointer<T>, _ x: UnsafeMutablePointer<T>, outer: Int, inner: Int
) {
    let (size, newSize, taps) = (plan.inputSize, plan.outputSize, plan.taps)
    let weights = plan.weights.map { T($0) }
    plan.positions.withUnsafeBufferPointer { positions in
        weights.withUnsafeBufferPointer { weights in
            parallelRange(outer, grain: grain(elementsPerUnit: newSize * inner * taps)) { begin, end in
                for image in begin..<end {
                    for place in 0..<newSize {
                        let source = g + (image * newSize + place) * inner
                        for tap in place * taps..<(place + 1) * taps {
                            let target = x + (image * size + positions[tap]) * inner
                            let weight = weights[tap]
                            for index in 0..<inner { target[index] += weight * source[index] }
                        }
                    }
                }
            }
        }
    }
}
