import TensorCore

/// Convolution and its gradients by definition, in `Double`, for any number of spatial axes.
struct ConvolutionReference {
    let geometry: ConvolutionGeometry
    let inputShape: [Int]
    let weightShape: [Int]
    let outputShape: [Int]

    init(geometry: ConvolutionGeometry, inputShape: [Int], weightShape: [Int]) throws {
        self.geometry = geometry
        self.inputShape = inputShape
        self.weightShape = weightShape
        self.outputShape = try geometry.outputShape(input: inputShape, weight: weightShape)
    }

    /// Calls `body(xIndex, wIndex, yIndex)` for every product that the convolution sums.
    func forEachProduct(_ body: (Int, Int, Int) -> Void) {
        let groupIn = weightShape[1]
        let groupOut = weightShape[0] / geometry.groups
        let outputs = Self.indices(Array(outputShape.dropFirst(2)))
        let taps = Self.indices(Array(weightShape.dropFirst(2)))
        let plane = inputShape.dropFirst(2).reduce(1, *)
        for n in 0..<outputShape[0] {
            for m in 0..<outputShape[1] {
                for (o, position) in outputs.enumerated() {
                    let y = (n * outputShape[1] + m) * outputs.count + o
                    for (k, tap) in taps.enumerated() {
                        guard let offset = inputOffset(position, tap) else { continue }
                        for c in 0..<groupIn {
                            let channel = m / groupOut * groupIn + c
                            body(
                                (n * inputShape[1] + channel) * plane + offset, (m * groupIn + c) * taps.count + k, y)
                        }
                    }
                }
            }
        }
    }

    private func inputOffset(_ position: [Int], _ tap: [Int]) -> Int? {
        var offset = 0
        for axis in position.indices {
            let at =
                position[axis] * geometry.stride[axis] + tap[axis] * geometry.dilation[axis]
                - geometry.paddingBefore[axis]
            guard at >= 0, at < inputShape[axis + 2] else { return nil }
            offset = offset * inputShape[axis + 2] + at
        }
        return offset
    }

    private static func indices(_ shape: [Int]) -> [[Int]] {
        shape.reduce([[]]) { partial, size in partial.flatMap { head in (0..<size).map { head + [$0] } } }
    }

    func forward(_ x: [Double], _ w: [Double]) -> [Double] {
        var y = [Double](repeating: 0, count: outputShape.reduce(1, *))
        forEachProduct { y[$2] += x[$0] * w[$1] }
        return y
    }

    func inputGradient(_ gradOutput: [Double], _ w: [Double]) -> [Double] {
        var gradient = [Double](repeating: 0, count: inputShape.reduce(1, *))
        forEachProduct { gradient[$0] += gradOutput[$2] * w[$1] }
        return gradient
    }

    func weightGradient(_ x: [Double], _ gradOutput: [Double]) -> [Double] {
        var gradient = [Double](repeating: 0, count: weightShape.reduce(1, *))
        forEachProduct { gradient[$1] += x[$0] * gradOutput[$2] }
        return gradient
    }
}

/// Numbers in [-1, 1) that depend on `seed` only (SplitMix64).
func seededValues(_ count: Int, seed: UInt64) -> [Double] {
    var state = seed
    return (0..<count).map { _ in
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        z ^= z >> 31
        return Double(Int64(bitPattern: z) >> 11) * 0x1p-52
    }
}

func array(_ values: [Double], _ shape: [Int], _ dtype: DType) -> NDArray {
    dtype == .float32 ? NDArray(values.map { Float($0) }, shape: shape) : NDArray(values, shape: shape)
}

/// Largest difference divided by the largest magnitude of `expected`.
func relativeError(_ actual: NDArray, _ expected: [Double]) -> Double {
    let scale = expected.map(abs).max() ?? 0
    let difference = zip(actual.doubles(), expected).map { abs($0 - $1) }.max() ?? 0
    return difference.isNaN ? .infinity : difference / max(scale, 1e-30)
}
