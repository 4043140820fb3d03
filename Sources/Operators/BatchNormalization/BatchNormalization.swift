import Autograd
import TensorCore

extension Op {
    /// y = (x - mean) / √(variance + epsilon) · scale + bias for every channel. ONNX BatchNormalization 1...;
    /// `torch.nn.functional.batch_norm`.
    ///
    /// x: `[N, C, ...]` or `[N]`; scale, bias, mean, variance: `[C]`. With `training_mode` (14) the statistics are those of
    /// x, and the further outputs are the running ones, `momentum · old + (1 - momentum) · batch`, with the biased variance.
    /// Before operator set 14 the given statistics are used whatever `is_test` says, as by other runtimes, and the further
    /// outputs are those statistics. Before 9, `spatial` 0 means statistics for every position: `[C, ...]`.
    public struct BatchNormalization: CompositeOperator {
        public static let opType = "BatchNormalization"
        public var keepsImagesApart: Bool { !isTraining }
        public static var maximumInputs: Int { 5 }
        public static var maximumOutputs: Int { 5 }
        public static var parameterInputs: [Int: String] { [1: "weight", 2: "bias"] }
        public static var bufferInputs: [Int: String] { [3: "running_mean", 4: "running_var"] }
        public let epsilon: Double
        /// Weight of the old running statistics; PyTorch's momentum is 1 minus this.
        public let momentum: Double
        public let isTraining: Bool
        let isSpatial: Bool
        let outputCount: Int

        public init(epsilon: Double = 1e-5, momentum: Double = 0.9, isTraining: Bool = false) {
            self.epsilon = epsilon
            self.momentum = momentum
            self.isTraining = isTraining
            isSpatial = true
            outputCount = isTraining ? 3 : 1
        }

        public init(_ node: NodeAttributes) throws {
            epsilon = try node.float("epsilon", default: 1e-5)
            momentum = try node.float("momentum", default: 0.9)
            isTraining = node.opset < 14 ? false : try node.bool("training_mode", default: false)
            isSpatial = node.opset < 9 ? try node.bool("spatial", default: true) : true
            outputCount = max(1, node.outputCount)
        }

        /// The same norm with its running statistics, and no further outputs.
        public var inferenceForm: Self {
            Self(epsilon: epsilon, momentum: momentum, isSpatial: isSpatial)
        }

        private init(epsilon: Double, momentum: Double, isSpatial: Bool) {
            self.epsilon = epsilon
            self.momentum = momentum
            self.isSpatial = isSpatial
            isTraining = false
            outputCount = 1
        }

        /// x's shape as `[N, C, ...]`, where C counts the statistics.
        private func layout(_ shape: [Int]) throws -> [Int] {
            guard !shape.isEmpty else { throw failure("expected x [N, C, ...], got a scalar") }
            if shape.count == 1 { return [shape[0], 1] }
            return try isSpatial ? shape : [shape[0], product(of: shape.dropFirst())]
        }

        private static let names = ["scale", "B", "mean", "var"]

        public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation {
            guard !isTraining, output == 0 else { return batch.unknown }
            return batch.along(touching: (batch.operand(0)?.shape.count ?? 0) > 1 ? [1] : [])
        }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] {
            let x = try required(inputs, 0, "X")
            let channels = try layout(x.shape)[1]
            for (index, name) in Self.names.enumerated() {
                let count = try product(of: required(inputs, index + 1, name).shape)
                guard count == channels else {
                    throw failure("expected \(channels) numbers in '\(name)', got \(count)")
                }
            }
            let mean = try required(inputs, 3, "mean")
            return [ValueInfo(x.dtype, x.shape)]
                + (1..<outputCount).prefix(4).map { _ in ValueInfo(mean.dtype, mean.shape) }
        }

        public func expand(_ inputs: [Tensor?]) throws -> [Tensor] {
            let x = try required(inputs, 0, "X")
            try checkNormalized(x)
            let layout = try layout(x.shape)
            let parameters = try Self.names.enumerated().map { index, name in
                let values = try required(inputs, index + 1, name)
                guard values.count == layout[1] else {
                    throw failure("expected \(layout[1]) numbers in '\(name)', got \(values.shape)")
                }
                // Float16 models keep their statistics in float32.
                return (
                    values, try values.dtype == x.dtype ? values.reshaped([layout[1]]) : converted(values, layout, x)
                )
            }
            let (mean, variance) = (parameters[2].1.array, parameters[3].1.array)
            let flat = try x.reshaped(layout)
            var statistics = [parameters[2].0.array, parameters[3].0.array]
            let y: Tensor
            if isTraining {
                let result = try apply(BatchNormTraining(epsilon: epsilon), [flat, parameters[0].1, parameters[1].1])
                y = result[0]
                statistics = try zip(statistics, result.dropFirst()).map { old, batch in
                    var running = old.reshaped([layout[1]])
                    running.scaleInPlace(momentum)
                    try running.addInPlace(batch.array.converted(to: old.dtype), scale: 1 - momentum)
                    return running.reshaped(old.shape)
                }
            } else {
                y = try batchNormInference(
                    flat, scale: parameters[0].1, bias: parameters[1].1, mean: mean, variance: variance,
                    epsilon: epsilon)
            }
            let extra = (1..<outputCount).prefix(4).map { Tensor(statistics[($0 - 1) % 2]) }
            return [try y.reshaped(x.shape)] + extra
        }

        private func converted(_ values: Tensor, _ layout: [Int], _ x: Tensor) throws -> Tensor {
            guard values.dtype.isFloatingPoint else {
                throw failure("expected floating-point numbers, got \(values.dtype)")
            }
            return try apply(Convert(dtype: x.dtype), values).reshaped([layout[1]])
        }
    }
}

extension Op.BatchNormalization {
    public static func samples() throws -> [OperatorSample] {
        func inputs(_ shape: [Int], _ channels: [Int]) -> [NDArray?] {
            [
                OperatorSample.values(shape), OperatorSample.values(channels, in: 0.5...2, seed: 1),
                OperatorSample.values(channels, seed: 2), OperatorSample.values(channels, seed: 3),
                OperatorSample.values(channels, in: 0.5...2, seed: 4),
            ]
        }
        func node(_ opset: Int, outputs: Int = 1, _ values: [String: AttributeValue] = [:]) throws -> Self {
            try Self(NodeAttributes(opType: opType, opset: opset, inputCount: 5, outputCount: outputs, values))
        }
        let quirks: [String: AttributeValue] = [
            "is_test": .int(1), "consumed_inputs": .ints([0, 0, 0, 1, 1]), "epsilon": .float(0.01),
        ]
        return [
            OperatorSample("inference", Self(), inputs([2, 3, 2, 2], [3]), differentiable: [0, 1, 2]),
            OperatorSample("matrix", Self(), inputs([3, 2], [2]), differentiable: [0, 1, 2]),
            OperatorSample("vector", Self(), inputs([4], [1]), differentiable: [0, 1, 2]),
            OperatorSample("empty batch", Self(), inputs([0, 2, 3], [2]), differentiable: [0, 1, 2]),
            OperatorSample("opset 6", try node(6, quirks), inputs([2, 2, 3], [2]), differentiable: [0, 1, 2]),
            OperatorSample(
                "not spatial", try node(7, ["spatial": .int(0)]), inputs([2, 2, 3], [2, 3]), differentiable: [0, 1, 2]),
            OperatorSample(
                "opset 9, five outputs", try node(9, outputs: 5), inputs([2, 2], [2]), differentiable: [0, 1, 2]),
            OperatorSample("training", Self(isTraining: true), inputs([3, 2, 2], [2]), differentiable: [0, 1, 2]),
            OperatorSample(
                "training with momentum, 2-D", Self(epsilon: 0.1, momentum: 0.5, isTraining: true),
                inputs([2, 2, 2, 2], [2]), differentiable: [0, 1, 2]),
            OperatorSample(
                "training, one output", try node(15, ["training_mode": .int(1)]), inputs([4, 2], [2]),
                differentiable: [0, 1, 2]),
        ]
    }
}

/// The same numbers in another floating-point type.
private struct Convert: DifferentiableFunction {
    let dtype: DType
    let name = "ToCopy"
    func forward(_ inputs: [NDArray?]) throws -> [NDArray] { inputs.compactMap { $0?.converted(to: dtype) } }
    func saved(for needs: IndexSet64) -> SavedValues { .none }
    func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
        try [gradOutputs[0].map { try apply(Convert(dtype: context.inputDType(0)), $0) }]
    }
}
