import Autograd
import TensorCore

extension Op {
    /// Axes made longer or shorter: nearest elements, or linear or cubic interpolation axis by axis.
    ///
    /// Inputs: X, scales in operator set 10; X, roi, scales, sizes since 11, of which scales or sizes is given. The new size of an
    /// axis is ⌊scale · size⌋. ONNX Resize 10...; `torch.nn.functional.interpolate`.
    public struct Resize: CompositeOperator {
        public static let opType = "Resize"
        public static var maximumInputs: Int { 4 }
        public static let opsets = 10...OperatorSet.newest

        /// What becomes of the given sizes.
        enum AspectRatio: String, Sendable {
            case stretch
            case notLarger = "not_larger"
            case notSmaller = "not_smaller"
        }

        let coordinates: ResizeCoordinates
        let axes: [Int]?
        let aspectRatio: AspectRatio
        let extrapolation: Double
        /// Operator set 10 has neither roi nor sizes.
        let hasScalesAlone: Bool

        init(
            _ coordinates: ResizeCoordinates, axes: [Int]? = nil, aspectRatio: AspectRatio = .stretch,
            extrapolation: Double = 0
        ) {
            self.coordinates = coordinates
            self.axes = axes
            self.aspectRatio = aspectRatio
            self.extrapolation = extrapolation
            hasScalesAlone = false
        }

        public init(_ node: NodeAttributes) throws {
            func choice<T: RawRepresentable<String>>(_ name: String, _ fallback: T) throws -> T {
                let given = try node.string(name, default: fallback.rawValue)
                guard let value = T(rawValue: given) else { throw node.unsupported(name, "unknown form '\(given)'") }
                return value
            }
            var coordinates = ResizeCoordinates()
            coordinates.interpolation = try choice("mode", .nearest)
            hasScalesAlone = node.opset < 11
            if hasScalesAlone {
                coordinates.transform = .asymmetric
                coordinates.rounding = .simple
            } else {
                coordinates.transform = try choice("coordinate_transformation_mode", .halfPixel)
                coordinates.rounding = try choice("nearest_mode", .preferFloor)
            }
            coordinates.cubicCoefficient = try node.float("cubic_coeff_a", default: -0.75)
            coordinates.excludesOutside = try node.bool("exclude_outside", default: false)
            coordinates.antialias = try node.bool("antialias", default: false)
            self.coordinates = coordinates
            axes = try node.ints("axes")
            aspectRatio = try choice("keep_aspect_ratio_policy", .stretch)
            extrapolation = try node.float("extrapolation_value", default: 0)
        }

        /// How every axis of an array of `shape` is resized.
        private func plan(
            _ shape: [Int], roi: NDArray?, scales: NDArray?, sizes: NDArray?
        ) throws -> [ResizeCoordinates.Axis] {
            let axes = try self.axes?.map { try axis($0, rank: shape.count) } ?? Array(shape.indices)
            guard Set(axes).count == axes.count else { throw failure("axes \(axes) name an axis twice") }
            var result = shape.map { ResizeCoordinates.Axis(size: $0, newSize: $0, scale: 1) }
            if let scales, scales.count > 0 {
                guard scales.count == axes.count else {
                    throw failure("expected \(axes.count) scales, got \(scales.count)")
                }
                for (axis, scale) in zip(axes, scales.doubles()) {
                    result[axis] = try scaled(shape[axis], by: Float(scale))
                }
            } else {
                guard let sizes, sizes.count == axes.count else {
                    throw failure("expected \(axes.count) scales or sizes, got \(sizes?.count ?? 0) sizes")
                }
                try resize(&result, axes, to: sizes.integers())
            }
            if coordinates.transform == .cropAndResize, let roi {
                let bounds = roi.doubles().map { Float($0) }
                guard bounds.count == 2 * axes.count else {
                    throw failure("expected a roi of \(2 * axes.count) numbers, got \(bounds.count)")
                }
                for (index, axis) in axes.enumerated() {
                    result[axis].region = (bounds[index], bounds[index + axes.count])
                }
            }
            return result
        }

        private func scaled(_ size: Int, by scale: Float) throws -> ResizeCoordinates.Axis {
            let newSize = Float(size) * scale
            guard scale > 0, scale.isFinite, newSize < 0x1p31 else { throw failure("scale \(scale) is out of range") }
            return ResizeCoordinates.Axis(size: size, newSize: Int(newSize), scale: scale)
        }

        private func resize(_ plan: inout [ResizeCoordinates.Axis], _ axes: [Int], to sizes: [Int]) throws {
            for (axis, size) in zip(axes, sizes) {
                guard size >= 0, size <= Int(Int32.max), plan[axis].size > 0 || size == 0 else {
                    throw failure("cannot resize an axis of \(plan[axis].size) to \(size)")
                }
                plan[axis].newSize = size
                plan[axis].scale = size == 0 ? 1 : Float(size) / Float(plan[axis].size)
            }
            guard aspectRatio != .stretch, !axes.isEmpty, !sizes.contains(0) else { return }
            let scales = axes.map { plan[$0].scale }
            let scale = (aspectRatio == .notLarger ? scales.min() : scales.max()) ?? 1
            for axis in axes {
                let newSize = (scale * Float(plan[axis].size) + 0.5).rounded(.down)
                guard newSize < 0x1p31 else { throw failure("sizes \(sizes) are out of range") }
                plan[axis].newSize = Int(newSize)
                plan[axis].scale = scale
            }
        }

        /// The operands that say how to resize: roi, scales and sizes.
        private func settings<T>(_ inputs: [T?]) -> (roi: T?, scales: T?, sizes: T?) {
            hasScalesAlone
                ? (nil, optional(inputs, 1), nil) : (optional(inputs, 1), optional(inputs, 2), optional(inputs, 3))
        }

        public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation {
            // The sizes may count the pictures; their axis stays as it is.
            guard batch.hasPictures, coordinates.transform != .cropAndResize else { return batch.unknown }
            return batch.stretched()
        }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] {
            let x = try required(inputs, 0, "X")
            let (_, scales, sizes) = settings(inputs)
            for case let given? in [scales, sizes] where given.value == nil && given.shape != [0] {
                throw failure("input 'scales' or 'sizes' must be known before running: it depends on the data")
            }
            let plan = try plan(x.shape, roi: nil, scales: scales?.value, sizes: sizes?.value)
            return [ValueInfo(x.dtype, plan.map(\.newSize))]
        }

        public func expand(_ inputs: [Tensor?]) throws -> [Tensor] {
            let x = try required(inputs, 0, "X")
            let (roi, scales, sizes) = settings(inputs)
            let axes = try plan(x.shape, roi: roi?.array, scales: scales?.array, sizes: sizes?.array)
            if coordinates.transform == .cropAndResize && roi == nil { throw failure("input 'roi' is missing") }
            try requireAllocatable(axes.map(\.newSize), x.dtype, Self.opType)
            return [try coordinates.resize(x, axes, extrapolation: extrapolation)]
        }
    }
}

/// Resizes the axes behind the first two of `x`: `[N, C, ...]`. Throws `ShapeError` for a form that `mode` does not name.
///
/// - `mode`: `nearest`, `linear` (also `bilinear`, `trilinear`) or `cubic` (also `bicubic`).
/// Source: `torch.nn.functional.interpolate`.
public func interpolate(
    _ x: Tensor, size: [Int], mode: String = "nearest", alignCorners: Bool = false, antialias: Bool = false
) throws -> Tensor {
    var coordinates = ResizeCoordinates()
    switch mode {
    case "nearest":
        coordinates.transform = .asymmetric
        coordinates.rounding = .floor
    case "linear", "bilinear", "trilinear": coordinates.interpolation = .linear
    case "cubic", "bicubic":
        coordinates.interpolation = .cubic
        coordinates.cubicCoefficient = antialias ? -0.5 : -0.75
    default: throw ShapeError("interpolate", "expected nearest, linear or cubic, got '\(mode)'")
    }
    if mode != "nearest" { coordinates.transform = alignCorners ? .alignCorners : .halfPixel }
    coordinates.antialias = antialias
    guard x.rank > 2, size.count == x.rank - 2 else {
        throw ShapeError("interpolate", "expected \(x.rank - 2) sizes for \(x.shape), got \(size)")
    }
    let resize = Op.Resize(coordinates, axes: Array(2..<x.rank))
    return try resize([x, nil, nil, Tensor(NDArray(size))])[0]
}

extension Op.Resize {
    public static func samples() throws -> [OperatorSample] {
        let x = OperatorSample.values([1, 2, 3, 4])
        func sample(
            _ name: String, scales: [Float]? = nil, sizes: [Int]? = nil, roi: [Float]? = nil, opset: Int = 19,
            _ values: [String: AttributeValue] = [:]
        ) throws -> OperatorSample {
            let op = try Op.Resize(NodeAttributes(opType: opType, opset: opset, values))
            let given = scales.map { NDArray($0) }
            let inputs = opset < 11 ? [x, given] : [x, roi.map { NDArray($0) }, given, sizes.map { NDArray($0) }]
            return OperatorSample(name, op, inputs, differentiable: [0])
        }
        func text(_ values: [String: String]) -> [String: AttributeValue] { values.mapValues { .string($0) } }
        let space: [String: AttributeValue] = ["axes": .ints([-2, 3])]
        let transforms = [
            "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric",
        ]
        let modes = ["nearest", "linear", "cubic"]
        return try modes.flatMap { mode in
            try transforms.map {
                try sample(
                    "\(mode) \($0)", scales: [1, 1, 1.6, 0.6],
                    text(["mode": mode, "coordinate_transformation_mode": $0]))
            }
        } + [
            try sample("opset 10", scales: [1, 1, 2, 0.5], opset: 10, text(["mode": "nearest"])),
            try sample("sizes", sizes: [1, 2, 5, 3], opset: 13, text(["mode": "linear"])),
            try sample("ceil", sizes: [5, 3], space.merging(text(["nearest_mode": "ceil"])) { $1 }),
            try sample(
                "antialias", sizes: [2, 2], space.merging(["mode": .string("cubic"), "antialias": .int(1)]) { $1 }),
            try sample(
                "exclude outside", sizes: [4, 3],
                space.merging(["mode": .string("cubic"), "exclude_outside": .int(1), "cubic_coeff_a": .float(-0.5)]) {
                    $1
                }
            ),
            try sample(
                "not larger", sizes: [6, 6],
                space.merging(text(["mode": "linear", "keep_aspect_ratio_policy": "not_larger"])) { $1 }),
            try sample(
                "not smaller", sizes: [6, 6],
                space.merging(text(["mode": "linear", "keep_aspect_ratio_policy": "not_smaller"])) { $1 }),
            try sample(
                "crop", sizes: [3, 4], roi: [0.2, 0.1, 1.3, 0.9],
                space.merging([
                    "mode": .string("linear"), "extrapolation_value": .float(2),
                    "coordinate_transformation_mode": .string("tf_crop_and_resize"),
                ]) { $1 }),
        ]
    }
}
