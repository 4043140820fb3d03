import Autograd
import TensorCore

extension Op {
    /// Mean of each window over 1 to 3 spatial axes. ONNX AveragePool 1...; `torch.nn.functional.avg_pool2d`.
    ///
    /// x: `[N, C, ...]`; y: `[N, C, ...]`. A window counts the elements of x in it, with `count_include_pad` (7) those of
    /// the padding too.
    public struct AveragePool: PrimitiveOperator {
        public static let opType = "AveragePool"
        public var keepsImagesApart: Bool { true }
        public var name: String { pool.window.kernelShape?.count == 3 ? "AvgPool3D" : "AvgPool2D" }
        let pool: PoolAttributes

        /// - `pads`: at the beginning of every axis, then at the end of every axis.
        public init(
            kernelShape: [Int], strides: [Int]? = nil, pads: [Int]? = nil, dilations: [Int]? = nil,
            autoPad: AutoPad = .notSet, ceilMode: Bool = false, countIncludePad: Bool = false
        ) {
            let window = WindowAttributes(
                kernelShape: kernelShape, strides: strides, pads: pads, dilations: dilations, autoPad: autoPad)
            pool = PoolAttributes(window: window, ceilMode: ceilMode, countIncludePad: countIncludePad)
        }

        public init(_ node: NodeAttributes) throws {
            pool = PoolAttributes(
                window: try WindowAttributes(node), ceilMode: try node.bool("ceil_mode", default: false),
                countIncludePad: try node.bool("count_include_pad", default: false))
        }

        /// The windows over an input of `shape`. Throws `ShapeError` when the attributes do not fit it.
        public func geometry(for shape: [Int]) throws -> PoolGeometry { try pool.geometry(for: shape, Self.opType) }

        public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation { batch.rows(output: output) }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] {
            let x = try required(inputs, 0, "X")
            return [ValueInfo(x.dtype, try geometry(for: x.shape).outputShape(x.shape))]
        }

        public func forward(_ inputs: [NDArray?]) throws -> [NDArray] {
            let x = try required(inputs, 0, "X")
            return [try x.averagePooled(geometry(for: x.shape))]
        }

        public func saved(for needs: IndexSet64) -> SavedValues { .none }

        public func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
            let shape = context.inputShape(0)
            let rule = AveragePoolGradient(pooling: self, geometry: try geometry(for: shape), inputShape: shape)
            return [try gradOutputs[0].map { try apply(rule, $0) }]
        }

        public static func samples() throws -> [OperatorSample] {
            func sample(_ name: String, _ op: Op.AveragePool, _ x: [Int]) -> OperatorSample {
                OperatorSample(name, op, [OperatorSample.values(x)], differentiable: [0])
            }
            let padded = ([3, 3], [2, 2], [1, 1, 1, 1])
            return [
                sample(
                    "overlapping", Op.AveragePool(kernelShape: padded.0, strides: padded.1, pads: padded.2),
                    [2, 2, 5, 4]),
                sample(
                    "padding counts",
                    Op.AveragePool(
                        kernelShape: padded.0, strides: padded.1, pads: padded.2, ceilMode: true,
                        countIncludePad: true), [1, 2, 4, 6]),
                sample("1-D", Op.AveragePool(kernelShape: [2], strides: [2]), [1, 2, 5]),
                sample("3-D", Op.AveragePool(kernelShape: [2, 2, 1]), [1, 1, 3, 2, 2]),
                sample(
                    "ceil mode, asymmetric pads",
                    Op.AveragePool(kernelShape: [2, 3], strides: [2, 2], pads: [1, 0, 0, 1], ceilMode: true),
                    [1, 2, 4, 5]),
                sample("dilated", Op.AveragePool(kernelShape: [2, 2], dilations: [2, 1]), [1, 1, 4, 3]),
                sample(
                    "same upper", Op.AveragePool(kernelShape: [2, 2], strides: [2, 2], autoPad: .sameUpper),
                    [1, 1, 3, 5]),
                sample("empty batch", Op.AveragePool(kernelShape: [2, 2]), [0, 2, 3, 3]),
            ]
        }
    }
}

/// The adjoint of an average pooling: every element of g shared among its window.
struct AveragePoolGradient: DifferentiableFunction {
    let pooling: Op.AveragePool
    let geometry: PoolGeometry
    let inputShape: [Int]
    var name: String { "\(pooling.name)Backward" }

    func forward(_ inputs: [NDArray?]) throws -> [NDArray] {
        try inputs.compactMap { try $0.map { try NDArray.averagePoolGradient($0, inputShape: inputShape, geometry) } }
    }

    func saved(for needs: IndexSet64) -> SavedValues { .none }

    func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
        try [gradOutputs[0].map { try apply(pooling, $0) }]
    }
}

/// Mean of each window of pictures `[N, C, H, W]`; the stride is the kernel's size unless given.
///
/// Source: `torch.nn.functional.avg_pool2d`.
public func avgPool2d(
    _ x: Tensor, kernelSize: Int, stride: Int? = nil, padding: Int = 0, ceilMode: Bool = false,
    countIncludePad: Bool = true
) throws -> Tensor {
    let op = Op.AveragePool(
        kernelShape: [kernelSize, kernelSize], strides: [stride ?? kernelSize, stride ?? kernelSize],
        pads: [padding, padding, padding, padding], ceilMode: ceilMode, countIncludePad: countIncludePad)
    return try apply(op, x)
}
