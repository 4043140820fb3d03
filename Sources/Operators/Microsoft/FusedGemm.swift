import Autograd
import TensorCore

extension Op.Microsoft {
    /// y = f(α op(A) op(B) + β C). Source: ONNX Runtime, com.microsoft FusedGemm 1.
    public struct FusedGemm: CompositeOperator {
        public static let opType = "FusedGemm"
        public static let domain = Op.Microsoft.domain
        public static var maximumInputs: Int { 3 }
        public static var parameterInputs: [Int: String] { Op.Gemm.parameterInputs }
        private let gemm: Op.Gemm
        private let activation: FusedActivation

        public init(_ node: NodeAttributes) throws {
            let own = node.values.filter { !$0.key.hasPrefix("activation") }
            gemm = try Op.Gemm(
                NodeAttributes(opType: node.opType, opset: OperatorSet.newest, inputCount: node.inputCount, own))
            let prefix = "activation_"
            var parameters: [String: Double] = [:]
            for name in node.values.keys where name.hasPrefix(prefix) {
                parameters[String(name.dropFirst(prefix.count))] = try node.float(name)
            }
            activation = try FusedActivation(node.string("activation", default: ""), parameters, of: node)
        }

        public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation {
            gemm.relation(batch, output: output)
        }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] { try gemm.infer(inputs) }

        public func expand(_ inputs: [Tensor?]) throws -> [Tensor] { [try activation(gemm(inputs)[0])] }

        public static func samples() throws -> [OperatorSample] {
            let (a, b) = (OperatorSample.values([2, 3]), OperatorSample.values([4, 3], seed: 1))
            let c = OperatorSample.values([4], seed: 2)
            func op(_ activation: String, _ values: [String: AttributeValue] = [:]) throws -> FusedGemm {
                let all = values.merging(["activation": .string(activation), "transB": .int(1)]) { $1 }
                return try FusedGemm(NodeAttributes(opType: opType, opset: 1, inputCount: 3, all))
            }
            return [
                OperatorSample("relu", try op("Relu"), [a, b, c], differentiable: [0, 1, 2]),
                OperatorSample(
                    "elu", try op("Elu", ["activation_alpha": .float(0.5), "alpha": .float(0.7)]), [a, b],
                    differentiable: [0, 1]),
            ]
        }
    }
}
