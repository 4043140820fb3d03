import Autograd
import TensorCore

extension Op {
    /// The elements in another type. ONNX Cast 1...; `Tensor.to`. Gradients pass between floating-point types.
    public struct Cast: CompositeOperator {
        public static let opType = "Cast"
        let target: DType

        public init(to target: DType) { self.target = target }

        public init(_ node: NodeAttributes) throws {
            guard let target = try node.dtype("to") else { throw node.unsupported("to", "is missing") }
            self.target = target
        }

        public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation { batch.aligned(output: output) }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] {
            [ValueInfo(target, try required(inputs, 0, "input").shape)]
        }

        public func expand(_ inputs: [Tensor?]) throws -> [Tensor] {
            let x = try required(inputs, 0, "input")
            try requireAllocatable(x.shape, target, Self.opType)
            return [x.to(target)]
        }

        public static func samples() throws -> [OperatorSample] {
            let x = OperatorSample.values([2, 3])
            return [
                OperatorSample("same", Op.Cast(to: .float64), [x], differentiable: [0]),
                OperatorSample("narrower", Op.Cast(to: .float32), [x], differentiable: []),
                OperatorSample("integer", Op.Cast(to: .int64), [x], differentiable: []),
                OperatorSample("bool", Op.Cast(to: .bool), [x], differentiable: []),
            ]
        }
    }
}

/// The elements in another type, as a recorded operation.
private struct Conversion: DifferentiableFunction {
    let target: DType
    var name: String { "ToCopy" }

    func forward(_ inputs: [NDArray?]) throws -> [NDArray] { inputs.compactMap { $0?.converted(to: target) } }
    func saved(for needs: IndexSet64) -> SavedValues { .none }
    func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
        [gradOutputs[0]?.to(context.inputDType(0))]
    }
}

extension Tensor {
    /// The elements in another type; the tensor itself when it has that type. Source: `Tensor.to`.
    ///
    /// Gradients pass between floating-point types; integer and bool results are constants.
    public func to(_ dtype: DType) -> Tensor {
        self.dtype == dtype ? self : checked(try apply(Conversion(target: dtype), self))
    }
}
