import Autograd
import TensorCore

extension Op {
    /// Largest element of each window over 1 to 3 spatial axes. ONNX MaxPool 1...; `torch.max_pool2d`.
    ///
    /// x: `[N, C, ...]`; y: `[N, C, ...]`, with `ceil_mode` (10) also windows that begin inside and end outside. The second
    /// output (8) has the positions of the maxima, numbered through all of x, in column-major order within a plane with
    /// `storage_order` 1. Of equal elements the first is the maximum, and it alone gets the gradient.
    public struct MaxPool: PrimitiveOperator {
        public static let opType = "MaxPool"
        public var keepsImagesApart: Bool { true }
        public static var maximumOutputs: Int { 2 }
        let pool: PoolAttributes
        let hasIndices: Bool

        /// - `pads`: at the beginning of every axis, then at the end of every axis.
        /// - `hasIndices`: whether there is a second output.
        public init(
            kernelShape: [Int], strides: [Int]? = nil, pads: [Int]? = nil, dilations: [Int]? = nil,
            autoPad: AutoPad = .notSet, ceilMode: Bool = false, storageOrder: Int = 0, hasIndices: Bool = false
        ) {
            let window = WindowAttributes(
                kernelShape: kernelShape, strides: strides, pads: pads, dilations: dilations, autoPad: autoPad)
            pool = PoolAttributes(window: window, ceilMode: ceilMode, storageOrder: storageOrder)
            self.hasIndices = hasIndices
        }

        public init(_ node: NodeAttributes) throws {
            pool = PoolAttributes(
                window: try WindowAttributes(node), ceilMode: try node.bool("ceil_mode", default: false),
                storageOrder: try node.int("storage_order", default: 0))
            hasIndices = node.outputCount > 1
        }

        public var name: String {
            pool.window.kernelShape?.count == 3 ? "MaxPool3DWithIndices" : "MaxPool2DWithIndices"
        }

        /// The windows over an input of `shape`. Throws `ShapeError` when the attributes do not fit it.
        public func geometry(for shape: [Int]) throws -> PoolGeometry { try pool.geometry(for: shape, Self.opType) }

        public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation {
            // Places of the maxima are counted through the whole batch.
            output == 0 ? batch.rows() : batch.unknown
        }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] {
            let x = try required(inputs, 0, "X")
            let shape = try geometry(for: x.shape).outputShape(x.shape)
            return hasIndices ? [ValueInfo(x.dtype, shape), ValueInfo(.int64, shape)] : [ValueInfo(x.dtype, shape)]
        }

        public func forward(_ inputs: [NDArray?]) throws -> [NDArray] {
            let x = try required(inputs, 0, "X")
            if hasIndices { return try forwardWithResiduals(inputs).outputs }
            return [try x.maxPooled(geometry(for: x.shape)).output]
        }

        public func forwardWithResiduals(
            _ inputs: [NDArray?]
        ) throws -> (outputs: [NDArray], residuals: [NDArray]) {
            let x = try required(inputs, 0, "X")
            let (y, positions) = try x.maxPooled(geometry(for: x.shape), wantsIndices: true)
            guard let positions else { throw failure("no indices of the maxima") }
            guard hasIndices else { return ([y], [positions]) }
            let indices = try NDArray.onnxPoolIndices(positions, inputShape: x.shape, storageOrder: pool.storageOrder)
            return ([y, indices], [positions])
        }

        public func saved(for needs: IndexSet64) -> SavedValues { .none }

        public func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
            let rule = ScatterToMaxima(positions: try context.residual(0), inputShape: context.inputShape(0))
            return [try gradOutputs[0].map { try apply(rule, $0) }]
        }

        public static func samples() throws -> [OperatorSample] {
            func sample(_ name: String, _ op: Op.MaxPool, _ x: [Int]) -> OperatorSample {
                OperatorSample(name, op, [OperatorSample.values(x)], differentiable: [0])
            }
            return [
                sample(
                    "overlapping", Op.MaxPool(kernelShape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1]), [2, 2, 5, 4]),
                sample("1-D", Op.MaxPool(kernelShape: [2], strides: [2]), [1, 2, 5]),
                sample("3-D", Op.MaxPool(kernelShape: [2, 2, 1]), [1, 1, 3, 2, 2]),
                sample(
                    "ceil mode, asymmetric pads",
                    Op.MaxPool(kernelShape: [2, 3], strides: [2, 2], pads: [1, 0, 0, 1], ceilMode: true), [1, 2, 4, 5]),
                sample("dilated", Op.MaxPool(kernelShape: [2, 2], dilations: [2, 1]), [1, 1, 4, 3]),
                sample(
                    "same upper", Op.MaxPool(kernelShape: [2, 2], strides: [2, 2], autoPad: .sameUpper), [1, 1, 3, 5]),
                sample(
                    "same lower", Op.MaxPool(kernelShape: [2, 2], strides: [2, 2], autoPad: .sameLower), [1, 1, 3, 5]),
                sample("indices", Op.MaxPool(kernelShape: [2, 2], hasIndices: true), [2, 2, 3, 3]),
                sample(
                    "column-major indices",
                    Op.MaxPool(kernelShape: [2, 2], strides: [2, 2], storageOrder: 1, hasIndices: true), [1, 2, 4, 2]),
                sample("empty batch", Op.MaxPool(kernelShape: [2, 2]), [0, 2, 3, 3]),
            ]
        }
    }
}

/// Adds g to zeros at the positions of the maxima: the gradient of a maximum by its input.
struct ScatterToMaxima: DifferentiableFunction {
    /// Row-major positions within planes, as `NDArray.maxPooled` gives them.
    let positions: NDArray
    let inputShape: [Int]
    let name = "MaxPool2DWithIndicesBackward"

    func forward(_ inputs: [NDArray?]) throws -> [NDArray] {
        try inputs.compactMap {
            try $0.map { try NDArray.maxPoolGradient($0, indices: positions, inputShape: inputShape) }
        }
    }

    func saved(for needs: IndexSet64) -> SavedValues { .none }

    func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
        try [gradOutputs[0].map { try apply(GatherFromMaxima(positions: positions), $0) }]
    }
}

/// Reads at the positions of the maxima: the adjoint of `ScatterToMaxima`.
struct GatherFromMaxima: DifferentiableFunction {
    let positions: NDArray
    let name = "Gather"

    func forward(_ inputs: [NDArray?]) throws -> [NDArray] {
        try inputs.compactMap { try $0?.gatherByPoolIndices(positions) }
    }

    func saved(for needs: IndexSet64) -> SavedValues { .none }

    func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
        let rule = ScatterToMaxima(positions: positions, inputShape: context.inputShape(0))
        return try [gradOutputs[0].map { try apply(rule, $0) }]
    }
}

/// Largest element of each window of pictures `[N, C, H, W]`; the stride is the kernel's size unless given.
///
/// Source: `torch.nn.functional.max_pool2d`.
public func maxPool2d(
    _ x: Tensor, kernelSize: Int, stride: Int? = nil, padding: Int = 0, dilation: Int = 1, ceilMode: Bool = false
) throws -> Tensor {
    let op = Op.MaxPool(
        kernelShape: [kernelSize, kernelSize], strides: [stride ?? kernelSize, stride ?? kernelSize],
        pads: [padding, padding, padding, padding], dilations: [dilation, dilation], ceilMode: ceilMode)
    return try apply(op, x)
}
