import Autograd
import TensorCore

extension Op {
    /// True where an element is infinite, of the signs asked for. ONNX IsInf 10...; `torch.isinf`.
    public struct IsInf: Operator {
        public static let opType = "IsInf"
        public static let opsets = 10...OperatorSet.newest
        let detectsNegative: Bool
        let detectsPositive: Bool

        public init(detectNegative: Bool = true, detectPositive: Bool = true) {
            detectsNegative = detectNegative
            detectsPositive = detectPositive
        }

        public init(_ node: NodeAttributes) throws {
            detectsNegative = try node.bool("detect_negative", default: true)
            detectsPositive = try node.bool("detect_positive", default: true)
        }

        public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation { batch.aligned(output: output) }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] {
            [ValueInfo(.bool, try required(inputs, 0, "X").shape)]
        }

        public func forward(_ inputs: [NDArray?]) throws -> [NDArray] {
            let x = try required(inputs, 0, "X")
            func equal(_ value: Double, _ isAsked: Bool) throws -> NDArray {
                guard isAsked else { return .zeros(x.shape, dtype: .bool) }
                return try NDArray.compare(.equal, x, NDArray(scalar: value, dtype: x.dtype))
            }
            return [try NDArray.logical(.or, equal(.infinity, detectsPositive), equal(-.infinity, detectsNegative))]
        }

        public static func samples() throws -> [OperatorSample] {
            let x = NDArray([1, Double.nan, Double.infinity, -Double.infinity])
            return [
                OperatorSample("both", Op.IsInf(), [x], differentiable: []),
                OperatorSample("positive", Op.IsInf(detectNegative: false), [x], differentiable: []),
            ]
        }
    }
}

extension Tensor {
    /// True where an element is infinite. Source: `torch.isinf`.
    public func isInf() -> Tensor { checked(try Op.IsInf()([self])[0]) }
}
