import Autograd
import TensorCore

extension Op {
    /// The same elements under another shape. ONNX Reshape 1...; `torch.reshape`.
    ///
    /// The shape is an attribute before operator set 5, an input since. 0 copies the input's dimension unless `allowzero`
    /// (14) is set; one -1 is inferred.
    public struct Reshape: CompositeOperator {
        public static let opType = "Reshape"
        public static var maximumInputs: Int { 2 }
        /// The target of operator sets 1 to 4.
        let attributeShape: [Int]?
        let allowZero: Bool

        public init(allowZero: Bool = false) {
            attributeShape = nil
            self.allowZero = allowZero
        }

        public init(_ node: NodeAttributes) throws {
            attributeShape = node.opset < 5 ? try node.ints("shape") : nil
            allowZero = try node.bool("allowzero", default: false)
        }

        /// The target with 0 and -1 resolved for an input of `shape`.
        func resolve(_ target: [Int], for shape: [Int]) throws -> [Int] {
            var result = target
            for (index, dimension) in target.enumerated() where dimension == 0 && !allowZero {
                guard index < shape.count else {
                    throw failure("dimension \(index) of \(target) copies none of \(shape)")
                }
                result[index] = shape[index]
            }
            let wildcards = target.indices.filter { target[$0] == -1 }
            guard wildcards.count <= 1, result.allSatisfy({ $0 >= -1 }) else { throw failure("bad shape \(target)") }
            let count = try product(of: shape)
            if let wildcard = wildcards.first {
                result[wildcard] = 1
                guard let known = checkedElementCount(result), known > 0, count % known == 0 else {
                    throw failure("cannot reshape \(shape) to \(target)")
                }
                result[wildcard] = count / known
            }
            guard checkedElementCount(result) == count else { throw failure("cannot reshape \(shape) to \(target)") }
            return result
        }

        public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation { batch.reshaped() }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] {
            let x = try required(inputs, 0, "data")
            let target = try attributeShape ?? constant(inputs, 1, "shape").integers()
            return [ValueInfo(x.dtype, try resolve(target, for: x.shape))]
        }

        public func expand(_ inputs: [Tensor?]) throws -> [Tensor] {
            let x = try required(inputs, 0, "data")
            let target = try attributeShape ?? required(inputs, 1, "shape").array.integers()
            return [try x.reshaped(try resolve(target, for: x.shape))]
        }

        public static func samples() throws -> [OperatorSample] {
            [
                OperatorSample(
                    "zero and wildcard", Op.Reshape(), [OperatorSample.values([2, 3, 4]), NDArray([0, -1])],
                    differentiable: [0]),
                OperatorSample(
                    "allowzero", Op.Reshape(allowZero: true), [OperatorSample.values([0, 3]), NDArray([3, 0])],
                    differentiable: [0]),
            ]
        }
    }
}

/// The same elements under `target`, a fully known shape.
struct ViewAs: DifferentiableFunction {
    let target: [Int]
    var name = "View"

    func forward(_ inputs: [NDArray?]) throws -> [NDArray] {
        try inputs.compactMap { x in
            guard let x else { return nil }
            guard checkedElementCount(target) == x.count else {
                throw ShapeError("Reshape", "cannot reshape \(x.shape) to \(target)")
            }
            return x.reshaped(target)
        }
    }

    func saved(for needs: IndexSet64) -> SavedValues { .none }

    func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
        [try gradOutputs[0]?.reshaped(context.inputShape(0))]
    }
}

extension Tensor {
    /// The same elements under a fully known `shape`; throws `ShapeError` when the counts differ.
    func reshaped(_ shape: [Int], as name: String = "View") throws -> Tensor {
        self.shape == shape ? self : try apply(ViewAs(target: shape, name: name), self)
    }

    /// The same elements under another shape; one dimension may be -1. Source: `Tensor.reshape`.
    public func reshape(_ shape: [Int]) -> Tensor {
        checked(try reshaped(try Op.Reshape(allowZero: true).resolve(shape, for: self.shape)))
    }
    public func reshape(_ shape: Int...) -> Tensor { reshape(shape) }

    /// As `reshape`. Source: `Tensor.view`.
    public func view(_ shape: Int...) -> Tensor { reshape(shape) }
}
