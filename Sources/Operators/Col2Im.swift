import Autograd
import TensorCore

extension Op {
    /// Adds up the columns of sliding blocks to the image that they cover: the adjoint of taking blocks out of an image.
    ///
    /// x: `[N, C * product(block), L]`, image_shape and block_shape: integers, one per spatial axis; y: `[N, C, image...]`.
    /// ONNX Col2Im 18...; `torch.nn.functional.fold`.
    public struct Col2Im: CompositeOperator {
        public static let opType = "Col2Im"
        public static var maximumInputs: Int { 3 }
        public static let opsets = 18...OperatorSet.newest
        let window: WindowAttributes

        /// - `pads`: at the beginning of every axis, then at the end of every axis.
        public init(strides: [Int]? = nil, pads: [Int]? = nil, dilations: [Int]? = nil) {
            window = WindowAttributes(strides: strides, pads: pads, dilations: dilations)
        }

        public init(_ node: NodeAttributes) throws {
            window = WindowAttributes(
                strides: try node.ints("strides"), pads: try node.ints("pads"), dilations: try node.ints("dilations"))
        }

        /// The blocks over an image, and what that makes of columns of `shape`.
        private struct Plan {
            let window: WindowAttributes.Resolved
            let image, block, blocks: [Int]
            let batch, channels: Int
            var padded: [Int] { image.indices.map { image[$0] + window.padsBegin[$0] + window.padsEnd[$0] } }
            var output: [Int] { [batch, channels] + image }

            /// Where in the padded image the elements of a channel's blocks go: block position by block position.
            var positions: [Int] {
                let padded = padded
                var result = [0]
                for sizes in [(block, window.dilations), (blocks, window.strides)] {
                    for axis in image.indices {
                        let stride = padded[(axis + 1)...].reduce(1, *)
                        let steps = (0..<sizes.0[axis]).map { $0 * sizes.1[axis] * stride }
                        result = result.flatMap { start in steps.map { start + $0 } }
                    }
                }
                return result
            }
        }

        private func plan(_ shape: [Int], image: [Int], block: [Int]) throws -> Plan {
            guard image.count == block.count, !image.isEmpty else {
                throw failure("image_shape \(image) and block_shape \(block) differ in length")
            }
            let resolved = try window.resolve(spatial: image, kernel: block, Self.opType)
            let blocks = image.indices.map { axis in
                let extent = (block[axis] - 1) * resolved.dilations[axis] + 1
                let room = image[axis] + resolved.padsBegin[axis] + resolved.padsEnd[axis] - extent
                return room < 0 ? 0 : room / resolved.strides[axis] + 1
            }
            let volume = try product(of: block)
            guard shape.count == 3, shape[1] % volume == 0, try product(of: blocks) == shape[2] else {
                throw failure(
                    "expected columns [N, C * \(volume), \(blocks.map(String.init).joined(separator: " * "))] for an "
                        + "image \(image), got \(shape)")
            }
            return Plan(
                window: resolved, image: image, block: block, blocks: blocks, batch: shape[0],
                channels: shape[1] / volume)
        }

        public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation { batch.rows() }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] {
            let x = try required(inputs, 0, "input")
            let plan = try plan(
                x.shape, image: constant(inputs, 1, "image_shape").integers(),
                block: constant(inputs, 2, "block_shape").integers())
            return [ValueInfo(x.dtype, plan.output)]
        }

        public func expand(_ inputs: [Tensor?]) throws -> [Tensor] {
            let x = try required(inputs, 0, "input")
            let plan = try plan(
                x.shape, image: required(inputs, 1, "image_shape").array.integers(),
                block: required(inputs, 2, "block_shape").array.integers())
            let padded = plan.padded
            let target = [plan.batch, plan.channels, try product(of: padded)]
            _ = try product(of: target)
            let positions = x.count == 0 ? [] : plan.positions
            let columns = try x.reshaped([plan.batch, plan.channels, positions.count])
            let unfold = SliceGather(indices: NDArray(positions), axis: 2)
            let image: Tensor = try apply(Adjoint(map: unfold, inputShape: target), columns)
            let axes = Array(2..<2 + padded.count)
            let begin = plan.window.padsBegin
            return [
                try image.reshaped([plan.batch, plan.channels] + padded)
                    .sliced(begin, zip(begin, plan.image).map { $0 + $1 }, axes)
            ]
        }

        public static func samples() throws -> [OperatorSample] {
            func sample(_ name: String, _ op: Op.Col2Im, _ x: [Int], _ image: [Int], _ block: [Int]) -> OperatorSample {
                OperatorSample(
                    name, op, [OperatorSample.values(x), NDArray(image), NDArray(block)], differentiable: [0])
            }
            return [
                sample("blocks", Op.Col2Im(), [2, 4, 4], [3, 3], [2, 2]),
                sample("one axis", Op.Col2Im(strides: [2], dilations: [2]), [1, 4, 2], [5], [2]),
                sample(
                    "pads", Op.Col2Im(strides: [2, 1], pads: [1, 0, 0, 1], dilations: [1, 2]), [1, 4, 4], [3, 3],
                    [2, 2]),
                sample("empty", Op.Col2Im(), [0, 4, 4], [3, 3], [2, 2]),
            ]
        }
    }
}

/// Adds up the columns of sliding blocks, `[N, C * product(kernelSize), L]`, to images `[N, C] + outputSize`.
///
/// Throws `ShapeError` when the columns are not as many as blocks fit. Source: `torch.nn.functional.fold`.
public func fold(
    _ x: Tensor, outputSize: [Int], kernelSize: [Int], stride: [Int]? = nil, padding: [Int]? = nil,
    dilation: [Int]? = nil
) throws -> Tensor {
    let op = Op.Col2Im(strides: stride, pads: padding.map { $0 + $0 }, dilations: dilation)
    return try op([x, Tensor(NDArray(outputSize)), Tensor(NDArray(kernelSize))])[0]
}
