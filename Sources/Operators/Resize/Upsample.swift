import Autograd
import TensorCore

extension Op {
    /// Axes made longer by repeating elements or by linear interpolation: what became `Resize` in operator set 10.
    ///
    /// The scales are attributes before operator set 9 (of height and width alone in 1 to 6), an input since.
    /// ONNX Upsample 1 to 9; `torch.nn.functional.interpolate`.
    public struct Upsample: CompositeOperator {
        public static let opType = "Upsample"
        public static var maximumInputs: Int { 2 }
        let coordinates: ResizeCoordinates
        let scales: [Float]?

        public init(_ node: NodeAttributes) throws {
            var coordinates = ResizeCoordinates(transform: .asymmetric, rounding: .simple)
            switch try node.string("mode", default: "nearest") {
            case "nearest": coordinates.interpolation = .nearest
            case "linear", "bilinear": coordinates.interpolation = .linear
            case let other: throw node.unsupported("mode", "expected nearest or linear, got '\(other)'")
            }
            self.coordinates = coordinates
            if node.opset >= 9 {
                scales = nil
            } else if node.opset >= 7 {
                scales = try node.floats("scales") ?? []
            } else {
                let (height, width) = (try node.float("height_scale"), try node.float("width_scale"))
                guard let height, let width else {
                    throw node.unsupported("height_scale", "or 'width_scale' is missing")
                }
                scales = [1, 1, Float(height), Float(width)]
            }
        }

        private func plan(_ shape: [Int], _ given: NDArray?) throws -> [ResizeCoordinates.Axis] {
            let scales = try self.scales ?? required([given], 0, "scales").doubles().map { Float($0) }
            guard scales.count == shape.count else {
                throw failure("expected \(shape.count) scales, got \(scales.count)")
            }
            return try zip(shape, scales).map { size, scale in
                let newSize = Float(size) * scale
                guard scale > 0, scale.isFinite, newSize < 0x1p31 else {
                    throw failure("scale \(scale) is out of range")
                }
                return ResizeCoordinates.Axis(size: size, newSize: Int(newSize), scale: scale)
            }
        }

        public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation {
            batch.hasPictures ? batch.stretched() : .counted
        }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] {
            let x = try required(inputs, 0, "X")
            let given = scales == nil ? try constant(inputs, 1, "scales") : nil
            return [ValueInfo(x.dtype, try plan(x.shape, given).map(\.newSize))]
        }

        public func expand(_ inputs: [Tensor?]) throws -> [Tensor] {
            let x = try required(inputs, 0, "X")
            let axes = try plan(x.shape, optional(inputs, 1)?.array)
            try requireAllocatable(axes.map(\.newSize), x.dtype, Self.opType)
            return [try coordinates.resize(x, axes, extrapolation: 0)]
        }

        public static func samples() throws -> [OperatorSample] {
            let x = OperatorSample.values([1, 2, 2, 3])
            func op(_ opset: Int, _ values: [String: AttributeValue]) throws -> Op.Upsample {
                try Op.Upsample(NodeAttributes(opType: opType, opset: opset, values))
            }
            let old: [String: AttributeValue] = ["height_scale": .float(2), "width_scale": .float(1.5)]
            let scales = NDArray([1, 1, 2, 3] as [Float])
            return [
                OperatorSample("opset 9", try op(9, ["mode": .string("linear")]), [x, scales], differentiable: [0]),
                OperatorSample("opset 7", try op(7, ["scales": .floats([1, 1, 2, 2.5])]), [x], differentiable: [0]),
                OperatorSample("opset 1", try op(1, old), [x], differentiable: [0]),
            ]
        }
    }
}
