import Autograd
import TensorCore

extension Op {
    /// y = eˣ / Σ eˣ along an axis. ONNX Softmax 1...; `torch.softmax`.
    ///
    /// The axis is by default the last one. Before operator set 13 it is 1 by default, and the axes behind it belong to it.
    public struct Softmax: CompositeOperator {
        public static let opType = "Softmax"
        private let axis: SoftmaxAxis

        public init(axis: Int = -1) { self.axis = SoftmaxAxis(axis: axis) }
        private init(_ axis: SoftmaxAxis) { self.axis = axis }
        public init(_ node: NodeAttributes) throws { axis = try SoftmaxAxis(node) }

        public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation {
            batch.along(touching: axis.touched(rank: batch.operand(0)?.shape.count ?? 0))
        }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] { try likeFirst(inputs) }

        public func expand(_ inputs: [Tensor?]) throws -> [Tensor] {
            [try axis.apply(to: required(inputs, 0, "input"), logarithm: false, Self.opType)]
        }

        public static func samples() throws -> [OperatorSample] {
            try SoftmaxAxis.samples(Op.Softmax.init, opType: opType)
        }
    }
}

extension Tensor {
    /// eˣ / Σ eˣ along axis `dim`. Source: `torch.softmax`.
    public func softmax(dim: Int) -> Tensor { checked(try Op.Softmax(axis: dim)([self])[0]) }
}
