import Autograd
import TensorCore

extension Op {
    /// Regions of pictures brought to one size: each cell is the mean, or the largest, of points interpolated inside of it.
    ///
    /// x: `[N, C, H, W]`, rois: `[R, 4]` as x1, y1, x2, y2, batch_indices: `[R]`; y: `[R, C, output_height, output_width]`.
    /// Differentiable in x. ONNX RoiAlign 10...; `torchvision.ops.roi_align`.
    public struct RoiAlign: CompositeOperator {
        public static let opType = "RoiAlign"
        public static var maximumInputs: Int { 3 }
        public static let opsets = 10...OperatorSet.newest
        let isMax: Bool
        let isHalfPixel: Bool
        let height, width: Int
        let samplingRatio: Int
        let scale: Double

        public init(_ node: NodeAttributes) throws {
            switch try node.string("mode", default: "avg") {
            case "avg": isMax = false
            case "max": isMax = true
            case let other: throw node.unsupported("mode", "expected avg or max, got '\(other)'")
            }
            let name = "coordinate_transformation_mode"
            switch try node.string(name, default: node.opset < 16 ? "output_half_pixel" : "half_pixel") {
            case "half_pixel": isHalfPixel = true
            case "output_half_pixel": isHalfPixel = false
            case let other: throw node.unsupported(name, "expected half_pixel or output_half_pixel, got '\(other)'")
            }
            height = try node.int("output_height", default: 1)
            width = try node.int("output_width", default: 1)
            samplingRatio = try node.int("sampling_ratio", default: 0)
            scale = try node.float("spatial_scale", default: 1)
            guard (1...1 << 12).contains(height), (1...1 << 12).contains(width), (0...1 << 10).contains(samplingRatio)
            else { throw failure("output_height, output_width or sampling_ratio is out of range") }
        }

        private func check(_ x: [Int], _ rois: [Int], _ indices: [Int]) throws {
            guard x.count == 4, rois.count == 2, rois[1] == 4, indices == [rois[0]] else {
                throw failure(
                    "expected x [N, C, H, W], rois [R, 4] and batch_indices [R], got \(x), \(rois) and \(indices)")
            }
        }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] {
            let x = try required(inputs, 0, "X")
            let rois = try required(inputs, 1, "rois").shape
            try check(x.shape, rois, required(inputs, 2, "batch_indices").shape)
            return [ValueInfo(x.dtype, [rois[0], x.shape[1], height, width])]
        }

        public func expand(_ inputs: [Tensor?]) throws -> [Tensor] {
            let x = try required(inputs, 0, "X")
            let rois = try required(inputs, 1, "rois").array
            let images = try required(inputs, 2, "batch_indices").array
            try check(x.shape, rois.shape, images.shape)
            guard x.dtype.isFloatingPoint else { throw failure("expected floating-point numbers, got \(x.dtype)") }
            let (n, c, h, w) = (x.shape[0], x.shape[1], x.shape[2], x.shape[3])
            let target = [rois.shape[0], c, height, width]
            try requireAllocatable(target, x.dtype, Self.opType)
            if rois.count == 0 || c == 0 { return [.zeros(target, dtype: x.dtype)] }
            let bounds = rois.doubles().map { $0 * scale - (isHalfPixel ? 0.5 : 0) }
            // Elements of one place side by side: [N * H * W, C].
            let elements = try x.permuted([0, 2, 3, 1]).reshaped([n * h * w, c])
            let regions = try images.integers().enumerated().map { index, image in
                guard image >= 0, image < n, h > 0, w > 0 else {
                    throw failure("batch index \(image) is outside of \(n) pictures of \(h) by \(w)")
                }
                let points = try points(Array(bounds[4 * index..<4 * index + 4]), height: h, width: w)
                let offset = image * h * w
                let gather = SliceGather(indices: NDArray(points.positions.map { $0 + offset }), axis: 0)
                let cells = height * width
                let perCell = points.positions.count / cells
                if perCell == 0 { return Tensor.zeros([1, cells, c], dtype: x.dtype) }
                let weights = Tensor(NDArray(points.weights, shape: [cells, perCell, 1]).converted(to: x.dtype))
                let weighted = try elements.mapped(gather).reshaped([cells, perCell, c]) * weights
                let extreme = ExtremeAlong(isLargest: true, axes: [1], keepDims: false)
                let cell: Tensor =
                    try isMax ? apply(extreme, weighted) : weighted.summed(over: [1], keepDims: false)
                return try cell.reshaped([1, cells, c])
            }
            let all = try Op.Concat(axis: 0)(regions.map(Optional.some))[0]
            return [try all.permuted([0, 2, 1]).reshaped(target)]
        }

        /// The elements and weights, four to a point, of all points of a region, cell by cell. For the mean the weights are
        /// divided by the number of points.
        private func points(
            _ bounds: [Double], height h: Int, width w: Int
        ) throws -> (positions: [Int], weights: [Double]) {
            func places(_ start: Double, _ end: Double, cells: Int) throws -> (count: Int, places: [Double]) {
                let extent = isHalfPixel ? end - start : max(end - start, 1)
                let cell = extent / Double(cells)
                guard cell.isFinite, abs(cell) < 0x1p16 else { throw failure("a region is out of range: \(bounds)") }
                let count = samplingRatio > 0 ? samplingRatio : max(Int(cell.rounded(.up)), 0)
                let places = (0..<cells * count).map { index -> Double in
                    let (bin, point) = index.quotientAndRemainder(dividingBy: count)
                    return start + (Double(bin) + (Double(point) + 0.5) / Double(count)) * cell
                }
                return (count, places)
            }
            let y = try places(bounds[1], bounds[3], cells: height)
            let x = try places(bounds[0], bounds[2], cells: width)
            guard y.places.count * x.places.count <= 1 << 24 else { throw failure("a region is too large: \(bounds)") }
            let share = isMax ? 1 : 1 / Double(max(y.count * x.count, 1))
            var result: (positions: [Int], weights: [Double]) = ([], [])
            for cell in 0..<height * width {
                for point in 0..<y.count * x.count {
                    let row = between(y.places[cell / width * y.count + point / x.count], h)
                    let column = between(x.places[cell % width * x.count + point % x.count], w)
                    for (line, a) in row {
                        for (place, b) in column {
                            result.positions.append(line * w + place)
                            result.weights.append(a * b * share)
                        }
                    }
                }
            }
            return result
        }

        /// The two elements that a place lies between, with their weights, which are 0 far outside.
        private func between(_ place: Double, _ size: Int) -> [(Int, Double)] {
            guard place >= -1, place <= Double(size) else { return [(0, 0), (0, 0)] }
            let x = max(place, 0)
            let low = Int(x)
            if low >= size - 1 { return [(size - 1, 1), (size - 1, 0)] }
            let fraction = x - Double(low)
            return [(low, 1 - fraction), (low + 1, fraction)]
        }

        public static func samples() throws -> [OperatorSample] {
            let x = OperatorSample.values([2, 2, 4, 5], in: 0.5...2)
            let rois = NDArray([0.3, 0.2, 3.1, 2.7, -2, 0.9, 1.6, 5.5], shape: [2, 4])
            func sample(_ name: String, _ opset: Int, _ values: [String: AttributeValue]) throws -> OperatorSample {
                let sizes: [String: AttributeValue] = ["output_height": .int(2), "output_width": .int(3)]
                let op = try Op.RoiAlign(
                    NodeAttributes(opType: opType, opset: opset, inputCount: 3, values.merging(sizes) { $1 }))
                return OperatorSample(name, op, [x, rois, NDArray([1, 0])], differentiable: [0])
            }
            return [
                try sample("mean", 16, [:]),
                try sample("largest", 16, ["mode": .string("max"), "sampling_ratio": .int(2)]),
                try sample("opset 10", 10, ["spatial_scale": .float(0.5), "sampling_ratio": .int(1)]),
            ]
        }
    }
}
