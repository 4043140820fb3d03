import Autograd
import TensorCore

extension Op {
    /// Moves blocks of channels into space: [N, C, H, W] to [N, C / b², bH, bW]. ONNX DepthToSpace 1...;
    /// `torch.nn.functional.pixel_shuffle` in mode CRD.
    public struct DepthToSpace: CompositeOperator {
        public static let opType = "DepthToSpace"
        let blockSize: Int
        /// Whether a block's channels are next to each other (CRD) or apart (DCR).
        let isColumnRowDepth: Bool

        public init(blockSize: Int, columnRowDepth: Bool = false) {
            self.blockSize = blockSize
            isColumnRowDepth = columnRowDepth
        }

        public init(_ node: NodeAttributes) throws {
            guard let size = try node.int("blocksize"), 1...4096 ~= size else {
                throw node.unsupported("blocksize", "expected a number from 1 to 4096")
            }
            let mode = try node.string("mode", default: "DCR")
            guard mode == "DCR" || mode == "CRD" else { throw node.unsupported("mode", "unknown mode '\(mode)'") }
            self.init(blockSize: size, columnRowDepth: mode == "CRD")
        }

        private func checkedShape(_ shape: [Int]) throws -> [Int] {
            guard shape.count == 4, shape[1] % (blockSize * blockSize) == 0 else {
                throw failure("expected [N, C, H, W] with C a multiple of \(blockSize * blockSize), got \(shape)")
            }
            return [
                shape[0], shape[1] / (blockSize * blockSize), try product(of: [shape[2], blockSize]),
                try product(of: [shape[3], blockSize]),
            ]
        }

        public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation { batch.rows(output: output) }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] {
            let x = try required(inputs, 0, "input")
            return [ValueInfo(x.dtype, try checkedShape(x.shape))]
        }

        public func expand(_ inputs: [Tensor?]) throws -> [Tensor] {
            let x = try required(inputs, 0, "input")
            let target = try checkedShape(x.shape)
            let (n, h, w, b) = (x.shape[0], x.shape[2], x.shape[3], blockSize)
            let blocks = isColumnRowDepth ? [n, target[1], b, b, h, w] : [n, b, b, target[1], h, w]
            let order = isColumnRowDepth ? [0, 1, 4, 2, 5, 3] : [0, 3, 4, 1, 5, 2]
            return [try x.reshaped(blocks).permuted(order).reshaped(target)]
        }

        public static func samples() throws -> [OperatorSample] {
            let x = OperatorSample.values([2, 4, 2, 3])
            return [
                OperatorSample("DCR", Op.DepthToSpace(blockSize: 2), [x], differentiable: [0]),
                OperatorSample("CRD", Op.DepthToSpace(blockSize: 2, columnRowDepth: true), [x], differentiable: [0]),
            ]
        }
    }
}
