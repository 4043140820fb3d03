import TensorCore

/// Which old elements along an axis a new one is made of: what `Resize` and `Upsample` have in common.
///
/// Coordinates are computed in `Float`, as ONNX Runtime does: where one falls between two pixels, rounding decides.
struct ResizeCoordinates: Sendable {
    enum Interpolation: String, Sendable { case nearest, linear, cubic }

    enum Transform: String, Sendable {
        case halfPixel = "half_pixel"
        case halfPixelSymmetric = "half_pixel_symmetric"
        case pytorchHalfPixel = "pytorch_half_pixel"
        case alignCorners = "align_corners"
        case asymmetric
        case cropAndResize = "tf_crop_and_resize"
        /// Operator sets 11 and 12 only.
        case halfPixelForNearest = "tf_half_pixel_for_nn"
    }

    enum Rounding: String, Sendable {
        case preferFloor = "round_prefer_floor"
        case preferCeil = "round_prefer_ceil"
        case floor, ceil
        /// Up to operator set 10: towards zero when enlarging, up when shrinking.
        case simple
    }

    var interpolation = Interpolation.nearest
    var transform = Transform.halfPixel
    var rounding = Rounding.preferFloor
    var cubicCoefficient = -0.75
    var excludesOutside = false
    var antialias = false

    /// An axis of `size` resized to `newSize` by `scale`; `region` is the part that is cropped, in fractions.
    struct Axis {
        var size, newSize: Int
        var scale: Float
        var region: (start: Float, end: Float) = (0, 1)
    }

    /// Where the new element at `index` lies among the old ones.
    func original(_ index: Int, _ axis: Axis) -> Float {
        let x = Float(index)
        let (size, newSize) = (Float(axis.size), Float(axis.newSize))
        switch transform {
        case .halfPixel: return (x + 0.5) / axis.scale - 0.5
        case .halfPixelSymmetric:
            let adjustment = newSize / (axis.scale * size)
            return size / 2 * (1 - adjustment) + (x + 0.5) / axis.scale - 0.5
        case .pytorchHalfPixel: return axis.newSize > 1 ? (x + 0.5) / axis.scale - 0.5 : 0
        case .alignCorners: return axis.newSize == 1 ? 0 : x * (size - 1) / (newSize - 1)
        case .asymmetric: return x / axis.scale
        case .halfPixelForNearest: return (x + 0.5) / axis.scale
        case .cropAndResize:
            let (start, end) = axis.region
            if axis.newSize <= 1 { return 0.5 * (start + end) * (size - 1) }
            return start * (size - 1) + x * (end - start) * (size - 1) / (newSize - 1)
        }
    }

    /// New elements that lie outside of the old ones, where cropping asks for another value.
    func isOutside(_ axis: Axis) -> [Bool] {
        (0..<axis.newSize).map { index in
            let x = original(index, axis)
            return !(x >= 0 && x <= Float(axis.size - 1))
        }
    }

    /// The weights of an axis, or nil when it stays as it is.
    func resampling(_ axis: Axis) -> AxisResampling? {
        if axis.scale == 1 && axis.size == axis.newSize && transform != .cropAndResize { return nil }
        let last = axis.size - 1
        func inside(_ position: Float) -> Int { position >= 0 ? Int(min(position, Float(last))) : 0 }
        if interpolation == .nearest {
            let positions = (0..<axis.newSize).map { min(inside(rounded(original($0, axis), axis.scale)), last) }
            return AxisResampling(
                inputSize: axis.size, taps: 1, positions: positions,
                weights: [Double](repeating: 1, count: positions.count))
        }
        // Shrinking with antialias stretches the filter over all old elements that a new one covers.
        let shrink = antialias ? Double(min(axis.scale, 1)) : 1
        let first = Int((-(interpolation == .linear ? 1 : 2) / shrink).rounded(.down)) + 1
        let offsets = first...(1 - first)
        var (positions, weights): ([Int], [Double]) = ([], [])
        for index in 0..<axis.newSize {
            let x = original(index, axis)
            // Far outside every tap is the same edge.
            let start = x.isFinite ? min(max(x.rounded(.down), -1e9), 1e9) : 0
            let ratio = x.isFinite && abs(x) <= 1e9 ? Double(x - start) : 0
            var row = offsets.map { filter((Double($0) - ratio) * shrink) }
            if excludesOutside {
                for (tap, offset) in offsets.enumerated() where !(0...last).contains(Int(start) + offset) {
                    row[tap] = 0
                }
            }
            let sum = row.reduce(0, +)
            if (antialias || excludesOutside) && sum != 0 { row = row.map { $0 / sum } }
            positions += offsets.map { min(max(Int(start) + $0, 0), last) }
            weights += row
        }
        return AxisResampling(inputSize: axis.size, taps: offsets.count, positions: positions, weights: weights)
    }

    /// The weight of an element at distance `x`.
    private func filter(_ x: Double) -> Double {
        let d = abs(x)
        if interpolation == .linear { return max(0, 1 - d) }
        let a = cubicCoefficient
        if d <= 1 { return ((a + 2) * d - (a + 3)) * d * d + 1 }
        if d < 2 { return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a }
        return 0
    }

    private func rounded(_ x: Float, _ scale: Float) -> Float {
        switch rounding {
        case .preferFloor: (x - 0.5).rounded(.up)
        case .preferCeil: (x + 0.5).rounded(.down)
        case .floor: x.rounded(.down)
        case .ceil: x.rounded(.up)
        case .simple: scale < 1 ? x.rounded(.up) : x.rounded(.towardZero)
        }
    }
}
