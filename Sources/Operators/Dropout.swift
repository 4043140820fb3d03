import Autograd
import TensorCore

extension Op {
    /// y = x, as in inference: random zeros belong to training and are made by the `Dropout` module. ONNX Dropout 1...
    ///
    /// Ratio, seed and the training flag, attributes up to operator set 11 and inputs since 12, are accepted. The optional
    /// second output, the mask, is all ones: of x's type before operator set 10, `bool` since.
    public struct Dropout: CompositeOperator {
        public static let opType = "Dropout"
        public var keepsImagesApart: Bool { true }
        public static var maximumInputs: Int { 3 }
        public static var maximumOutputs: Int { 2 }
        /// Fraction of elements that training sets to zero, when it is an attribute.
        public let ratio: Double?
        /// The ratio's input since operator set 12, where it is 0.5 when absent.
        public static let ratioInput = 1
        /// The flag's input since operator set 12: with it a file drops in inference too.
        public static let trainingInput = 2
        let hasMask: Bool
        let isMaskBool: Bool

        public init(ratio: Double = 0.5, hasMask: Bool = false) {
            self.ratio = ratio
            self.hasMask = hasMask
            isMaskBool = true
        }

        public init(_ node: NodeAttributes) throws {
            ratio = node.opset < 12 ? try node.float("ratio", default: 0.5) : nil
            hasMask = node.outputCount > 1
            isMaskBool = node.opset >= 10
        }

        public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation { batch.aligned(output: output) }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] {
            let x = try required(inputs, 0, "data")
            return hasMask ? [x, ValueInfo(isMaskBool ? .bool : x.dtype, x.shape)] : [x]
        }

        public func expand(_ inputs: [Tensor?]) throws -> [Tensor] {
            let x = try required(inputs, 0, "data")
            guard hasMask else { return [x] }
            return [x, Tensor(NDArray.ones(x.shape, dtype: isMaskBool ? .bool : x.dtype))]
        }

        public static func samples() throws -> [OperatorSample] {
            let x = OperatorSample.values([2, 3])
            let old = NodeAttributes(opType: opType, opset: 7, outputCount: 2, ["ratio": .float(0.3)])
            return [
                OperatorSample("inference", Op.Dropout(), [x], differentiable: [0]),
                OperatorSample(
                    "ratio and flag", Op.Dropout(hasMask: true),
                    [x, NDArray(scalar: Float(0.1)), NDArray(scalar: false)],
                    differentiable: [0]),
                OperatorSample("opset 7", try Op.Dropout(old), [x], differentiable: [0]),
            ]
        }
    }
}
