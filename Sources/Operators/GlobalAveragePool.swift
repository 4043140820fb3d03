import Autograd
import TensorCore

extension Op {
    /// Mean over all spatial axes. x: `[N, C, ...]`; y: `[N, C, 1, ...]`. ONNX GlobalAveragePool 1...;
    /// `torch.nn.functional.adaptive_avg_pool2d(x, 1)`.
    public struct GlobalAveragePool: PrimitiveOperator {
        public static let opType = "GlobalAveragePool"
        public var keepsImagesApart: Bool { true }
        public var name: String { "Mean" }
        public var backwardName: String { "MeanBackward1" }

        public init() {}
        public init(_ node: NodeAttributes) throws {}

        public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation { batch.rows(output: output) }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] {
            let x = try required(inputs, 0, "X")
            guard x.shape.count > 2 else { throw failure("expected x [N, C, ...], got \(x.shape)") }
            return [ValueInfo(x.dtype, x.shape.prefix(2) + x.shape.dropFirst(2).map { _ in 1 })]
        }

        public func forward(_ inputs: [NDArray?]) throws -> [NDArray] {
            let x = try required(inputs, 0, "X")
            guard x.rank > 2 else { throw failure("expected x [N, C, ...], got \(x.shape)") }
            return [try x.mean(axes: Array(2..<x.rank), keepDims: true)]
        }

        public func saved(for needs: IndexSet64) -> SavedValues { .none }

        public func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
            guard let g = gradOutputs[0] else { return [nil] }
            let shape = context.inputShape(0)
            let share = 1 / Double(shape.dropFirst(2).reduce(1, *))
            return [try apply(BroadcastTo(target: shape), g * share)]
        }

        public static func samples() throws -> [OperatorSample] {
            func sample(_ name: String, _ shape: [Int]) -> OperatorSample {
                OperatorSample(name, Op.GlobalAveragePool(), [OperatorSample.values(shape)], differentiable: [0])
            }
            return [
                sample("2-D", [2, 3, 3, 2]), sample("1-D", [2, 2, 5]), sample("3-D", [1, 2, 2, 2, 2]),
                sample("1x1", [2, 3, 1, 1]), sample("empty batch", [0, 3, 2, 2]),
            ]
        }
    }
}

/// Mean over all spatial axes of `[N, C, ...]`, which stay with size 1.
///
/// Source: `torch.nn.functional.adaptive_avg_pool2d(x, 1)`.
public func globalAveragePool(_ x: Tensor) throws -> Tensor { try apply(Op.GlobalAveragePool(), x) }
