import Autograd
import TensorCore

extension Op {
    /// Elements of x at the places that a grid names, between −1 and 1 along every spatial axis, interpolated.
    ///
    /// x: `[N, C, D1...Dr]`, grid: `[N, out..., r]`, whose last axis names the last spatial axis first; y: `[N, C, out...]`.
    /// Differentiable in both. ONNX GridSample 16...; `torch.nn.functional.grid_sample`.
    public struct GridSample: CompositeOperator {
        public static let opType = "GridSample"
        public static var maximumInputs: Int { 2 }
        public static let opsets = 16...OperatorSet.newest

        /// What lies between elements.
        public enum Mode: String, Sendable { case nearest, linear, cubic }
        /// What lies outside of x.
        public enum Padding: String, Sendable, CaseIterable { case zeros, border, reflection }
        let mode: Mode
        let padding: Padding
        let alignCorners: Bool

        public init(mode: Mode = .linear, padding: Padding = .zeros, alignCorners: Bool = false) {
            self.mode = mode
            self.padding = padding
            self.alignCorners = alignCorners
        }

        public init(_ node: NodeAttributes) throws {
            // Before operator set 20 the modes were named for two axes.
            switch try node.string("mode", default: "linear") {
            case "nearest": mode = .nearest
            case "linear", "bilinear": mode = .linear
            case "cubic", "bicubic": mode = .cubic
            case let other: throw node.unsupported("mode", "expected nearest, linear or cubic, got '\(other)'")
            }
            let name = try node.string("padding_mode", default: "zeros")
            guard let padding = Padding(rawValue: name) else {
                throw node.unsupported("padding_mode", "expected zeros, border or reflection, got '\(name)'")
            }
            self.padding = padding
            alignCorners = try node.bool("align_corners", default: false)
        }

        private func outputShape(_ x: [Int], _ grid: [Int]) throws -> [Int] {
            guard x.count >= 3, grid.count == x.count, grid[0] == x[0], grid.last == x.count - 2 else {
                throw failure(
                    "expected x [N, C, D...] and grid [N, out..., \(max(x.count - 2, 1))], got \(x) and \(grid)")
            }
            return Array(x[..<2] + grid[1..<grid.count - 1])
        }

        public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation { batch.together(upTo: 1) }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] {
            let x = try required(inputs, 0, "X")
            return [ValueInfo(x.dtype, try outputShape(x.shape, required(inputs, 1, "grid").shape))]
        }

        public func expand(_ inputs: [Tensor?]) throws -> [Tensor] {
            let (x, grid) = (try required(inputs, 0, "X"), try required(inputs, 1, "grid"))
            let target = try outputShape(x.shape, grid.shape)
            guard grid.dtype.isFloatingPoint else { throw failure("expected a floating-point grid, got \(grid.dtype)") }
            let sizes = Array(x.shape[2...])
            try requireAllocatable(target, x.dtype, Self.opType)
            if elementCount(target) == 0 || sizes.contains(0) { return [.zeros(target, dtype: x.dtype)] }
            let (n, c, rank) = (x.shape[0], x.shape[1], sizes.count)
            let points = target[2...].reduce(1, *)
            let places = try grid.reshaped([n, points, rank])
            var corners = [Corner(offsets: [Int](repeating: 0, count: n * points), weight: nil)]
            for (axis, size) in sizes.enumerated() {
                let place = try places.sliced([rank - 1 - axis], [rank - axis], [2])
                let stride = sizes[(axis + 1)...].reduce(1, *)
                let taps = try self.taps(place.to(x.dtype), size: size)
                corners = corners.flatMap { corner in taps.map { corner.combined(with: $0, stride: stride) } }
            }
            // Elements of one place side by side: [N, places, C].
            let elements = try x.reshaped([n, c, sizes.reduce(1, *)]).permuted([0, 2, 1])
            var sum: Tensor?
            for corner in corners {
                let indices = NDArray(corner.offsets, shape: [n, points, 1])
                let values = try elements.mapped(TupleGather(indices: indices, batchDims: 1))
                let term = corner.weight.map { values * $0 } ?? values
                sum = sum.map { $0 + term } ?? term
            }
            return [try (sum ?? elements).permuted([0, 2, 1]).reshaped(target)]
        }

        /// Elements that a result is made of: their offsets, and weights `[N, points, 1]`; nil is 1.
        private struct Corner {
            var offsets: [Int]
            var weight: Tensor?

            func combined(with tap: Corner, stride: Int) -> Corner {
                let product = weight.map { a in tap.weight.map { a * $0 } ?? a } ?? tap.weight
                return Corner(offsets: zip(offsets, tap.offsets).map { $0 + $1 * stride }, weight: product)
            }
        }

        /// The elements along one axis that `place`, between −1 and 1, lies between.
        private func taps(_ place: Tensor, size: Int) throws -> [Corner] {
            let x = alignCorners ? (place + 1) * (Double(size - 1) / 2) : ((place + 1) * Double(size) - 1) * 0.5
            let values = x.array.doubles()
            if mode == .nearest {
                return [try tap(at: values.map { $0.rounded(.toNearestOrEven) }, weight: nil, size: size, like: x)]
            }
            let floors = values.map { $0.rounded(.down) }
            let fraction = x - Tensor(NDArray(floors, shape: x.shape).converted(to: x.dtype))
            let offsets = mode == .linear ? 0...1 : -1...2
            return try offsets.map { offset in
                let weight = mode == .linear ? (offset == 0 ? 1 - fraction : fraction) : cubic(fraction, offset)
                return try tap(at: floors.map { $0 + Double(offset) }, weight: weight, size: size, like: x)
            }
        }

        /// Keys' cubic with a = −0.75 for the element `offset` places from the one below `fraction`.
        private func cubic(_ fraction: Tensor, _ offset: Int) -> Tensor {
            let a = -0.75
            switch offset {
            case 0, 1:
                let d = offset == 0 ? fraction : 1 - fraction
                return ((a + 2) * d - (a + 3)) * d * d + 1
            default:
                let d = offset < 0 ? fraction + 1 : 2 - fraction
                return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
            }
        }

        /// The elements at whole `positions`, brought inside by the padding.
        private func tap(at positions: [Double], weight: Tensor?, size: Int, like x: Tensor) throws -> Corner {
            let last = Double(size - 1)
            var isInside = [Double](repeating: 1, count: positions.count)
            let offsets = positions.enumerated().map { index, position -> Int in
                guard position.isFinite else {
                    isInside[index] = padding == .zeros ? 0 : 1
                    return position == .infinity && padding == .border ? size - 1 : 0
                }
                if position >= 0 && position <= last { return Int(position) }
                switch padding {
                case .zeros: isInside[index] = 0
                case .border: return position < 0 ? 0 : size - 1
                case .reflection: return reflected(position, size)
                }
                return 0
            }
            if !isInside.contains(0) { return Corner(offsets: offsets, weight: weight) }
            let mask = Tensor(NDArray(isInside, shape: x.shape).converted(to: x.dtype))
            return Corner(offsets: offsets, weight: weight.map { $0 * mask } ?? mask)
        }

        /// A position mirrored at the edges: at the middles of the outermost elements, or at their outer sides.
        private func reflected(_ position: Double, _ size: Int) -> Int {
            if size == 1 { return 0 }
            let period = Double(alignCorners ? 2 * (size - 1) : 2 * size)
            var phase = position.truncatingRemainder(dividingBy: period)
            if phase < 0 { phase += period }
            let whole = Int(phase)
            return whole < size ? whole : (alignCorners ? 2 * (size - 1) : 2 * size - 1) - whole
        }

        public static func samples() throws -> [OperatorSample] {
            let x = OperatorSample.values([2, 2, 3, 4])
            let grid = NDArray(
                [-0.61, 0.2, 0.13, -0.47, 1.4, 0.3, -0.2, -1.7, 0.55, 0.9, -1.13, 1.23], shape: [2, 3, 1, 2])
            let volume = OperatorSample.values([1, 1, 2, 2, 3])
            let points = NDArray([-0.61, 0.23, 0.13, 0.9, -1.3, 0.41], shape: [1, 1, 1, 2, 3])
            let modes = [Op.GridSample.Mode.linear, .cubic]
            return modes.flatMap { mode in
                Padding.allCases.map { padding in
                    OperatorSample(
                        "\(mode) \(padding)", Op.GridSample(mode: mode, padding: padding), [x, grid],
                        differentiable: [0, 1])
                }
            } + [
                OperatorSample("nearest", Op.GridSample(mode: .nearest), [x, grid], differentiable: [0]),
                OperatorSample(
                    "aligned corners", Op.GridSample(padding: .reflection, alignCorners: true), [x, grid],
                    differentiable: [0, 1]),
                OperatorSample("volume", Op.GridSample(), [volume, points], differentiable: [0, 1]),
            ]
        }
    }
}

/// Elements of `x` at the places, between −1 and 1, that `grid` names. Throws `ShapeError` for shapes that do not fit.
///
/// Source: `torch.nn.functional.grid_sample`.
public func gridSample(
    _ x: Tensor, _ grid: Tensor, mode: Op.GridSample.Mode = .linear, padding: Op.GridSample.Padding = .zeros,
    alignCorners: Bool = false
) throws -> Tensor {
    try Op.GridSample(mode: mode, padding: padding, alignCorners: alignCorners)([x, grid])[0]
}
