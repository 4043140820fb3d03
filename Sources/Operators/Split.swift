import Autograd
import TensorCore

extension Op {
    /// Cuts an axis into pieces of the given sizes, or into equal ones.
    ///
    /// Sizes are an attribute before operator set 13, an input since; `num_outputs` (18) makes the last piece smaller when
    /// they do not divide the axis. ONNX Split 1...; `torch.split`.
    public struct Split: CompositeOperator {
        public static let opType = "Split"
        public static var maximumInputs: Int { 2 }
        public static var maximumOutputs: Int { .max }
        let axis: Int
        let sizes: [Int]?
        let outputCount: Int

        public init(axis: Int = 0, sizes: [Int]? = nil, outputCount: Int) {
            self.axis = axis
            self.sizes = sizes
            self.outputCount = outputCount
        }

        public init(_ node: NodeAttributes) throws {
            axis = try node.int("axis", default: 0)
            sizes = node.opset < 13 ? try node.ints("split") : nil
            outputCount = try node.int("num_outputs", default: node.outputCount)
            guard outputCount == node.outputCount else {
                throw node.unsupported("num_outputs", "is \(outputCount), the node has \(node.outputCount) outputs")
            }
        }

        private func resolved(_ given: NDArray?, size: Int) throws -> [Int] {
            if let sizes = given?.integers() ?? sizes {
                guard sizes.allSatisfy({ 0...size ~= $0 }), try sum(of: sizes) == size else {
                    throw failure("pieces \(sizes) do not add up to an axis of \(size)")
                }
                return sizes
            }
            guard 1...1 << 16 ~= outputCount else { throw failure("\(outputCount) outputs") }
            let piece = try sum(of: [size, outputCount - 1]) / outputCount
            return (0..<outputCount).map { min(piece, max(0, size - $0 * piece)) }
        }

        public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation {
            guard let axis = try? axis(axis, rank: batch.outputs[output].count) else { return batch.unknown }
            return batch.along(touching: [axis], output: output)
        }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] {
            let x = try required(inputs, 0, "input")
            let axis = try axis(axis, rank: x.shape.count)
            let given = try optional(inputs, 1) == nil ? nil : constant(inputs, 1, "split")
            return try resolved(given, size: x.shape[axis]).map { size in
                var shape = x.shape
                shape[axis] = size
                return ValueInfo(x.dtype, shape)
            }
        }

        public func expand(_ inputs: [Tensor?]) throws -> [Tensor] {
            let x = try required(inputs, 0, "input")
            let axis = try axis(axis, rank: x.rank)
            let sizes = try resolved(optional(inputs, 1)?.array, size: x.shape[axis])
            return try apply(Pieces(axis: axis, sizes: sizes), [x])
        }

        public static func samples() throws -> [OperatorSample] {
            let x = OperatorSample.values([3, 5])
            let attribute = Op.Split(axis: -1, sizes: [1, 0, 4], outputCount: 3)
            return [
                OperatorSample("attribute", attribute, [x], differentiable: [0]),
                OperatorSample("input", Op.Split(outputCount: 2), [x, NDArray([2, 1])], differentiable: [0]),
                OperatorSample("uneven", Op.Split(axis: 1, outputCount: 2), [x], differentiable: [0]),
            ]
        }
    }
}

/// Pieces of `sizes` along `axis`.
private struct Pieces: DifferentiableFunction {
    let axis: Int
    let sizes: [Int]
    var name: String { "Split" }

    func forward(_ inputs: [NDArray?]) throws -> [NDArray] {
        guard let x = inputs[0] else { return [] }
        return try x.split(sizes: sizes, axis: axis)
    }
    func saved(for needs: IndexSet64) -> SavedValues { .none }
    func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
        let pieces = gradOutputs.enumerated().map { index, gradient in
            gradient ?? Tensor(NDArray.zeros(context.outputShape(index), dtype: context.inputDType(0)))
        }
        return [try apply(Joined(axis: axis, sizes: sizes), pieces)[0]]
    }
}

/// The inverse of `Pieces`.
private struct Joined: DifferentiableFunction {
    let axis: Int
    let sizes: [Int]
    var name: String { "Cat" }

    func forward(_ inputs: [NDArray?]) throws -> [NDArray] {
        [try NDArray.concatenate(inputs.compactMap { $0 }, axis: axis)]
    }
    func saved(for needs: IndexSet64) -> SavedValues { .none }
    func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
        guard let g = gradOutputs[0] else { return sizes.map { _ in nil } }
        return try apply(Pieces(axis: axis, sizes: sizes), [g])
    }
}

extension Tensor {
    /// Pieces of the given sizes along `dim`. Source: `torch.split`.
    public func split(_ sizes: [Int], dim: Int = 0) -> [Tensor] {
        checked(try Op.Split(axis: dim, sizes: sizes, outputCount: sizes.count)([self]))
    }

    /// Pieces of `size` along `dim`, the last one smaller when they do not divide it. Source: `torch.split`.
    public func split(_ size: Int, dim: Int = 0) -> [Tensor] {
        func pieces() throws -> [Tensor] {
            let length = shape[try normalized([dim], "split")[0]]
            guard size > 0 else { throw ShapeError("split", "expected a positive size, got \(size)") }
            let count = Swift.max(1, (length + size - 1) / size)
            return split((0..<count).map { Swift.min(size, length - $0 * size) }, dim: dim)
        }
        return checked(try pieces())
    }

    /// At most `count` pieces of equal size along `dim`, the last one smaller. Source: `torch.chunk`.
    public func chunk(_ count: Int, dim: Int = 0) -> [Tensor] {
        func pieces() throws -> [Tensor] {
            let length = shape[try normalized([dim], "chunk")[0]]
            guard count > 0 else { throw ShapeError("chunk", "expected a positive count, got \(count)") }
            return split(Swift.max(1, (length + count - 1) / count), dim: dim)
        }
        return checked(try pieces())
    }
}
