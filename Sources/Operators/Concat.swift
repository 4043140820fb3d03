import Autograd
import TensorCore

extension Op {
    /// Arrays one after another along an axis; they agree in every other. ONNX Concat 1... (before 4 axis 1 unless
    /// given); `torch.cat`.
    public struct Concat: PrimitiveOperator {
        public static let opType = "Concat"
        public var keepsImagesApart: Bool { true }
        public static var maximumInputs: Int { .max }
        public var name: String { "Cat" }
        let axis: Int

        public init(axis: Int) { self.axis = axis }

        public init(_ node: NodeAttributes) throws {
            guard let axis = try node.int("axis") ?? (node.opset < 4 ? 1 : nil) else {
                throw node.unsupported("axis", "is missing")
            }
            self.init(axis: axis)
        }

        private func given<T>(_ inputs: [T?]) throws -> [T] {
            try inputs.indices.map { try required(inputs, $0, "inputs[\($0)]") }
        }

        public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation {
            guard let axis = try? axis(axis, rank: batch.outputs[output].count) else { return batch.unknown }
            return batch.aligned(touching: [axis])
        }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] {
            let parts = try given(inputs)
            let first = try required(inputs, 0, "inputs")
            let axis = try axis(axis, rank: first.shape.count)
            var shape = first.shape
            shape[axis] = 0
            for part in parts {
                guard part.dtype == first.dtype, part.shape.count == shape.count,
                    shape.indices.allSatisfy({ $0 == axis || shape[$0] == part.shape[$0] })
                else {
                    throw failure(
                        "\(first.dtype) \(first.shape) and \(part.dtype) \(part.shape) differ outside of axis \(axis)")
                }
                shape[axis] = try sum(of: [shape[axis], part.shape[axis]])
            }
            // Shapes are put together from parts that are known before running.
            let values = parts.compactMap(\.value)
            let isShape = first.dtype == .int64 && shape.count == 1 && values.count == parts.count
            return [ValueInfo(first.dtype, shape, value: isShape ? try NDArray.concatenate(values, axis: axis) : nil)]
        }

        public func forward(_ inputs: [NDArray?]) throws -> [NDArray] {
            [try NDArray.concatenate(given(inputs), axis: axis)]
        }

        public func saved(for needs: IndexSet64) -> SavedValues { .none }

        public func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
            var gradients = [Tensor?](repeating: nil, count: context.inputCount)
            guard let g = gradOutputs[0] else { return gradients }
            let axis = try axis(axis, rank: g.rank)
            var start = 0
            for index in gradients.indices {
                let size = context.inputShape(index)[axis]
                if context.needs(index) {
                    gradients[index] = try apply(Narrow(axis: axis, range: start..<start + size), g)
                }
                start += size
            }
            return gradients
        }

        public static func samples() throws -> [OperatorSample] {
            func sample(_ name: String, axis: Int, _ shapes: [Int]...) -> OperatorSample {
                let inputs = shapes.enumerated().map { OperatorSample.values($1, seed: $0) }
                return OperatorSample(name, Op.Concat(axis: axis), inputs, differentiable: Array(inputs.indices))
            }
            return [
                sample("rows", axis: 0, [2, 3], [1, 3]),
                sample("channels", axis: 1, [2, 1, 2], [2, 3, 2], [2, 2, 2]),
                sample("negative axis", axis: -1, [2, 2], [2, 1]),
                sample("empty part", axis: 1, [2, 2], [2, 0], [2, 1]),
                sample("one part", axis: 0, [2, 2]),
                OperatorSample(
                    "shapes", Op.Concat(axis: 0), [NDArray([1, 2]), NDArray([-1])], differentiable: []),
            ]
        }
    }
}

/// Elements `range` along `axis`.
private struct Narrow: DifferentiableFunction {
    let axis: Int
    let range: Range<Int>
    let name = "Slice"

    func forward(_ inputs: [NDArray?]) throws -> [NDArray] {
        try inputs.compactMap {
            try $0?.slice(starts: [range.lowerBound], ends: [range.upperBound], axes: [axis], steps: [1])
        }
    }

    func saved(for needs: IndexSet64) -> SavedValues { .none }

    func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
        let rule = Embed(axis: axis, range: range, shape: context.inputShape(0))
        return try [gradOutputs[0].map { try apply(rule, $0) }]
    }
}

/// Zeros of `shape` with x at `range` along `axis`: the adjoint of `Narrow`.
private struct Embed: DifferentiableFunction {
    let axis: Int
    let range: Range<Int>
    let shape: [Int]
    let name = "SliceBackward"

    func forward(_ inputs: [NDArray?]) throws -> [NDArray] {
        try inputs.compactMap {
            try $0.map {
                try NDArray.sliceGradient(
                    $0, inputShape: shape, starts: [range.lowerBound], ends: [range.upperBound], axes: [axis],
                    steps: [1])
            }
        }
    }

    func saved(for needs: IndexSet64) -> SavedValues { .none }

    func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
        try [gradOutputs[0].map { try apply(Narrow(axis: axis, range: range), $0) }]
    }
}

/// Tensors one after another along axis `dim`; they agree in every other. Source: `torch.cat`.
public func cat(_ tensors: [Tensor], dim: Int = 0) -> Tensor { checked(try apply(Op.Concat(axis: dim), tensors)[0]) }
