import Autograd
import TensorCore

extension Op {
    /// Moves blocks of space into channels: [N, C, H, W] to [N, b²C, H / b, W / b]. ONNX SpaceToDepth 1...
    public struct SpaceToDepth: CompositeOperator {
        public static let opType = "SpaceToDepth"
        let blockSize: Int

        public init(blockSize: Int) { self.blockSize = blockSize }

        public init(_ node: NodeAttributes) throws {
            guard let size = try node.int("blocksize"), 1...4096 ~= size else {
                throw node.unsupported("blocksize", "expected a number from 1 to 4096")
            }
            self.init(blockSize: size)
        }

        private func checkedShape(_ shape: [Int]) throws -> [Int] {
            guard shape.count == 4, shape[2] % blockSize == 0, shape[3] % blockSize == 0 else {
                throw failure("expected [N, C, H, W] with H and W multiples of \(blockSize), got \(shape)")
            }
            let channels = try product(of: [shape[1], blockSize, blockSize])
            return [shape[0], channels, shape[2] / blockSize, shape[3] / blockSize]
        }

        public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation { batch.rows(output: output) }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] {
            let x = try required(inputs, 0, "input")
            return [ValueInfo(x.dtype, try checkedShape(x.shape))]
        }

        public func expand(_ inputs: [Tensor?]) throws -> [Tensor] {
            let x = try required(inputs, 0, "input")
            let target = try checkedShape(x.shape)
            let blocks = [x.shape[0], x.shape[1], target[2], blockSize, target[3], blockSize]
            return [try x.reshaped(blocks).permuted([0, 3, 5, 1, 2, 4]).reshaped(target)]
        }

        public static func samples() throws -> [OperatorSample] {
            [
                OperatorSample(
                    "blocks", Op.SpaceToDepth(blockSize: 2), [OperatorSample.values([2, 1, 4, 2])], differentiable: [0])
            ]
        }
    }
}
