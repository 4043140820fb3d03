import Autograd
import TensorCore

extension Op.Microsoft {
    /// y = α op(A) op(B) over the last two axes, broadcasting over the others.
    ///
    /// `transA` swaps the last two axes of A; `transBatchA` first moves its first axis behind those it shares with B. B likewise.
    /// Source: ONNX Runtime, com.microsoft FusedMatMul 1.
    public struct FusedMatMul: CompositeOperator {
        public static let opType = "FusedMatMul"
        public static let domain = Op.Microsoft.domain
        public static var maximumInputs: Int { 2 }
        public static var parameterInputs: [Int: String] { Op.MatMul.parameterInputs }
        private let alpha: Double
        private let transposes: [Bool]
        private let movesFirst: [Bool]

        public init(_ node: NodeAttributes) throws {
            alpha = try node.float("alpha", default: 1)
            transposes = try ["transA", "transB"].map { try node.bool($0, default: false) }
            movesFirst = try ["transBatchA", "transBatchB"].map { try node.bool($0, default: false) }
        }

        /// The order of an operand's axes before the product.
        private func order(_ operand: Int, rank: Int) -> [Int] {
            var order = Array(0..<rank)
            guard rank >= 2 else { return order }
            if movesFirst[operand] { order = Array(1..<rank - 1) + [0, rank - 1] }
            if transposes[operand] { order.swapAt(rank - 2, rank - 1) }
            return order
        }

        public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation {
            let moved = batch.inputs.enumerated().map { index, operand -> BatchOperands.Operand? in
                guard var operand, index < 2 else { return nil }
                let order = order(index, rank: operand.shape.count)
                operand.shape = order.map { operand.shape[$0] }
                if let found = operand.relation.pictures, let axis = order.firstIndex(of: found.axis) {
                    operand.relation = .images(PictureAxis(axis: axis, repeats: found.repeats, rows: found.rows))
                }
                return operand
            }
            return BatchOperands(pictures: batch.pictures, inputs: moved, outputs: batch.outputs).product()
        }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] {
            let operands = try ["A", "B"].enumerated().map { index, name in
                var info = try required(inputs, index, name)
                info.shape = order(index, rank: info.shape.count).map { info.shape[$0] }
                info.value = nil
                return info
            }
            return try Op.MatMul().infer(operands)
        }

        public func expand(_ inputs: [Tensor?]) throws -> [Tensor] {
            let operands = try ["A", "B"].enumerated().map { index, name in
                let x = try required(inputs, index, name)
                return try x.permuted(order(index, rank: x.rank))
            }
            let product = try Op.MatMul()(operands)[0]
            return [alpha == 1 ? product : product * alpha]
        }

        public static func samples() throws -> [OperatorSample] {
            func sample(_ name: String, _ a: [Int], _ b: [Int], _ flags: [String]) throws -> OperatorSample {
                var values = Dictionary(uniqueKeysWithValues: flags.map { ($0, AttributeValue.int(1)) })
                values["alpha"] = .float(0.5)
                return OperatorSample(
                    name, try FusedMatMul(NodeAttributes(opType: opType, opset: 1, inputCount: 2, values)),
                    [OperatorSample.values(a), OperatorSample.values(b, seed: 1)], differentiable: [0, 1])
            }
            return [
                try sample("plain", [2, 3], [3, 2], []),
                try sample("transposed", [2, 3, 2], [2, 2, 3], ["transA", "transB"]),
                try sample("first axis", [2, 3, 4], [3, 4, 2], ["transBatchA"]),
                try sample("both", [4, 3, 2], [4, 3, 2], ["transBatchA", "transA", "transBatchB"]),
            ]
        }
    }
}
