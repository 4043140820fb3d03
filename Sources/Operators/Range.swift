import Autograd
import TensorCore

extension Op {
    /// start, start + delta, ... before limit. ONNX Range 11...; `torch.arange`.
    public struct Range: Operator {
        public static let opType = "Range"
        public static var maximumInputs: Int { 3 }
        public static let opsets = 11...OperatorSet.newest

        public init() {}
        public init(_ node: NodeAttributes) throws {}

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] {
            let values = try ["start", "limit", "delta"].enumerated().map { try constant(inputs, $0, $1) }
            return try forward(values).map { ValueInfo($0) }
        }

        public func forward(_ inputs: [NDArray?]) throws -> [NDArray] {
            let values = try ["start", "limit", "delta"].enumerated().map { index, name in
                let value = try required(inputs, index, name)
                guard value.count == 1 else {
                    throw failure("input '\(name)' is no scalar, its shape is \(value.shape)")
                }
                return value
            }
            guard values[0].dtype == values[1].dtype, values[0].dtype == values[2].dtype else {
                throw failure("inputs have different types: \(values.map(\.dtype))")
            }
            return [
                try NDArray.arange(
                    values[0].item(), values[1].item(), step: values[2].item(), dtype: values[0].dtype)
            ]
        }

        public static func samples() throws -> [OperatorSample] {
            func scalars(_ values: [Int]) -> [NDArray?] { values.map { NDArray(scalar: $0) } }
            return [
                OperatorSample("up", Op.Range(), scalars([1, 8, 3]), differentiable: []),
                OperatorSample("down", Op.Range(), scalars([5, 0, -2]), differentiable: []),
                OperatorSample("nothing", Op.Range(), scalars([5, 0, 2]), differentiable: []),
                OperatorSample(
                    "fractions", Op.Range(), [0.5, 2, 0.25].map { NDArray(scalar: $0) }, differentiable: []),
            ]
        }
    }
}
