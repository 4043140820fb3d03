import TensorCore

extension Op {
    /// One number repeated over a shape given by the input. ONNX ConstantOfShape 9... (value float 0).
    public struct ConstantOfShape: Operator {
        public static let opType = "ConstantOfShape"
        public static let opsets = 9...OperatorSet.newest
        /// A scalar.
        let value: NDArray

        public init(value: NDArray = NDArray(scalar: Float(0))) {
            demand(value.count == 1, "ConstantOfShape repeats one number, got shape \(value.shape)")
            self.value = value.reshaped([])
        }

        public init(_ node: NodeAttributes) throws {
            let value = try node.tensor("value") ?? NDArray(scalar: Float(0))
            guard value.count == 1 else { throw node.unsupported("value", "expected one number, got \(value.shape)") }
            self.init(value: value)
        }

        private func target(_ shape: NDArray) throws -> [Int] {
            let target = shape.integers()
            guard shape.dtype.isInteger, shape.rank <= 1, checkedElementCount(target) != nil else {
                throw failure("no array has the shape \(target) (\(shape.dtype))")
            }
            return target
        }

        public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation { batch.grown() }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] {
            let shape = try target(constant(inputs, 0, "input"))
            // Shape arithmetic needs the value of short vectors; larger ones would only cost memory.
            let known = elementCount(shape) <= 1024 ? try value.broadcast(to: shape) : nil
            return [ValueInfo(value.dtype, shape, value: known)]
        }

        public func forward(_ inputs: [NDArray?]) throws -> [NDArray] {
            [try value.broadcast(to: target(required(inputs, 0, "input")))]
        }

        public static func samples() throws -> [OperatorSample] {
            let ones = NDArray([Int64(1)])
            return [
                OperatorSample("zeros", Op.ConstantOfShape(), [NDArray([2, 3])], differentiable: []),
                OperatorSample("integers", Op.ConstantOfShape(value: ones), [NDArray([4])], differentiable: []),
                OperatorSample("scalar", Op.ConstantOfShape(), [NDArray([Int64]())], differentiable: []),
                OperatorSample("empty", Op.ConstantOfShape(), [NDArray([0, 2])], differentiable: []),
            ]
        }
    }
}
