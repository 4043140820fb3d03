import Autograd
import TensorCore

/// The function that a fused operator ends in: an operator of ONNX's own, by name, with its numbers.
struct FusedActivation: Sendable {
    private let op: (any Operator)?
    /// Bounds of `Clip`, which are inputs of that operator.
    private let bounds: [Double]

    static let none = FusedActivation(op: nil, bounds: [])

    private init(op: (any Operator)?, bounds: [Double]) {
        self.op = op
        self.bounds = bounds
    }

    /// - `parameters`: values of the operator's attributes by name; `min` and `max` for `Clip`.
    /// - Throws: `ShapeError` for a name of no elementwise function.
    init(_ name: String, _ parameters: [String: Double], of node: NodeAttributes) throws {
        let known = [
            "Clip", "Elu", "HardSigmoid", "LeakyRelu", "Relu", "Selu", "Sigmoid", "Softplus", "Softsign", "Tanh",
            "ThresholdedRelu",
        ]
        guard !name.isEmpty else {
            self = .none
            return
        }
        guard known.contains(name), let type = OperatorRegistry.find(name) else {
            throw node.unsupported("activation", "'\(name)' is not supported")
        }
        let isClip = name == Op.Clip.opType
        let attributes: [String: AttributeValue] = isClip ? [:] : parameters.mapValues { .float(Float($0)) }
        op = try type.init(NodeAttributes(opType: name, opset: OperatorSet.newest, attributes))
        bounds = isClip ? [parameters["min"] ?? -.infinity, parameters["max"] ?? .infinity] : []
    }

    func callAsFunction(_ x: Tensor) throws -> Tensor {
        guard let op else { return x }
        return try op([x] + bounds.map { Tensor(NDArray(scalar: $0, dtype: x.dtype)) })[0]
    }
}
