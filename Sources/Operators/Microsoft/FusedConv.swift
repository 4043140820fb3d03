import Autograd
import TensorCore

extension Op.Microsoft {
    /// y = f(conv(x, w) + b + z), z optional, of the shape of y. Source: ONNX Runtime, com.microsoft FusedConv 1.
    public struct FusedConv: CompositeOperator {
        public static let opType = "FusedConv"
        public static let domain = Op.Microsoft.domain
        public static var maximumInputs: Int { 4 }
        public static var parameterInputs: [Int: String] { Op.Conv.parameterInputs }
        private let conv: Op.Conv
        private let activation: FusedActivation

        public init(_ node: NodeAttributes) throws {
            conv = try Op.Conv(node)
            let name = try node.string("activation", default: "")
            let values = try node.floats("activation_params")?.map { Double($0) } ?? []
            let names =
                switch name {
                case "Clip": ["min", "max"]
                case "HardSigmoid": ["alpha", "beta"]
                case "LeakyRelu": ["alpha"]
                default: [String]()
                }
            activation = try FusedActivation(name, Dictionary(zip(names, values)) { a, _ in a }, of: node)
        }

        public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation {
            // What is added to the result is of the same pictures.
            if let added = batch.operand(3) {
                guard added.relation == batch.operand(0)?.relation else { return batch.unknown }
            }
            let inputs = Array(batch.inputs.prefix(3))
            return BatchOperands(pictures: batch.pictures, inputs: inputs, outputs: batch.outputs).rows()
        }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] {
            let result = try conv.infer(Array(inputs.prefix(3)))
            if let z = optional(inputs, 3), z.shape != result[0].shape || z.dtype != result[0].dtype {
                throw failure("expected Z of shape \(result[0].shape), got \(z.shape)")
            }
            return result
        }

        public func expand(_ inputs: [Tensor?]) throws -> [Tensor] {
            var y = try conv(Array(inputs.prefix(3)))[0]
            if let z = optional(inputs, 3) {
                guard z.shape == y.shape else { throw failure("expected Z of shape \(y.shape), got \(z.shape)") }
                y = try apply(Op.Add(), y, z)
            }
            return [try activation(y)]
        }

        public static func samples() throws -> [OperatorSample] {
            let (x, w) = (OperatorSample.values([2, 2, 3, 3]), OperatorSample.values([2, 2, 2, 2], seed: 1))
            let (b, z) = (OperatorSample.values([2], seed: 2), OperatorSample.values([2, 2, 2, 2], seed: 3))
            func op(_ activation: String, _ parameters: [Float]) throws -> FusedConv {
                let values: [String: AttributeValue] = [
                    "activation": .string(activation), "activation_params": .floats(parameters),
                ]
                return try FusedConv(NodeAttributes(opType: opType, opset: 1, inputCount: 4, values))
            }
            return [
                OperatorSample("relu", try op("Relu", []), [x, w, b], differentiable: [0, 1, 2]),
                OperatorSample("sum", try op("LeakyRelu", [0.2]), [x, w, b, z], differentiable: [0, 1, 2, 3]),
                OperatorSample("clip", try op("Clip", [-0.7, 3.1]), [x, w], differentiable: [0, 1]),
                OperatorSample(
                    "hard sigmoid", try op("HardSigmoid", [0.1, 0.4]), [x, w, nil, z], differentiable: [0, 1, 3]),
                OperatorSample("none", try op("", []), [x, w, b], differentiable: [0, 1, 2]),
            ]
        }
    }
}
