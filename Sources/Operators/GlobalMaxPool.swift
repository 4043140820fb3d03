import Autograd
import TensorCore

extension Op {
    /// Largest element over all spatial axes. x: `[N, C, ...]`; y: `[N, C, 1, ...]`. ONNX GlobalMaxPool 1...;
    /// `torch.nn.functional.adaptive_max_pool2d(x, 1)`.
    public struct GlobalMaxPool: CompositeOperator {
        public static let opType = "GlobalMaxPool"
        public var keepsImagesApart: Bool { true }

        public init() {}
        public init(_ node: NodeAttributes) throws {}

        private func target(_ shape: [Int]) throws -> [Int] {
            guard shape.count > 2, !shape.dropFirst(2).contains(0) else {
                throw failure("expected x [N, C, ...] with elements in its planes, got \(shape)")
            }
            return shape.prefix(2) + shape.dropFirst(2).map { _ in 1 }
        }

        public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation { batch.rows(output: output) }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] {
            let x = try required(inputs, 0, "X")
            return [ValueInfo(x.dtype, try target(x.shape))]
        }

        /// One window over each plane, laid out along one axis.
        public func expand(_ inputs: [Tensor?]) throws -> [Tensor] {
            let x = try required(inputs, 0, "X")
            let target = try target(x.shape)
            let plane = x.shape.dropFirst(2).reduce(1, *)
            let rows = try x.reshaped([x.shape[0], x.shape[1], plane])
            let maxima: Tensor = try apply(Op.MaxPool(kernelShape: [plane]), rows)
            return [try maxima.reshaped(target)]
        }

        public static func samples() throws -> [OperatorSample] {
            func sample(_ name: String, _ shape: [Int]) -> OperatorSample {
                OperatorSample(name, Op.GlobalMaxPool(), [OperatorSample.values(shape)], differentiable: [0])
            }
            return [
                sample("2-D", [2, 3, 3, 2]), sample("1-D", [2, 2, 5]), sample("3-D", [1, 2, 2, 2, 2]),
                sample("empty batch", [0, 3, 2, 2]),
            ]
        }
    }
}
