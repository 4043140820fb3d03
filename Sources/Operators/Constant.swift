import TensorCore

extension Op {
    /// A value written in the model. ONNX Constant 1...: `value`, and since 12 `value_float(s)` and `value_int(s)`.
    public struct Constant: Operator {
        public static let opType = "Constant"
        public static var maximumInputs: Int { 0 }
        public let value: NDArray

        public init(value: NDArray) { self.value = value }

        public init(_ node: NodeAttributes) throws {
            for name in ["sparse_value", "value_string", "value_strings"] where node.has(name) {
                throw node.unsupported(name, "only dense tensors of numbers are supported")
            }
            let forms = ["value", "value_float", "value_floats", "value_int", "value_ints"].filter(node.has)
            guard forms.count == 1 else {
                throw ShapeError(Self.opType, "expected exactly one value attribute, got \(forms)")
            }
            if let tensor = try node.tensor("value") {
                value = tensor
            } else if let number = try node.float("value_float") {
                value = NDArray(scalar: Float(number))
            } else if let numbers = try node.floats("value_floats") {
                value = NDArray(numbers)
            } else if let number = try node.int("value_int") {
                value = NDArray(scalar: number)
            } else {
                value = NDArray(try node.ints("value_ints") ?? [])
            }
        }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] { [ValueInfo(value)] }

        public func forward(_ inputs: [NDArray?]) throws -> [NDArray] { [value] }

        public static func samples() throws -> [OperatorSample] {
            func sample(_ name: String, _ value: AttributeValue) throws -> OperatorSample {
                let node = NodeAttributes(opType: opType, opset: 13, inputCount: 0, [name: value])
                return OperatorSample(name, try Op.Constant(node), [], differentiable: [])
            }
            return [
                try sample("value", .tensor(OperatorSample.values([2, 3]))),
                try sample("value_float", .float(1.5)), try sample("value_floats", .floats([1, 2, 3])),
                try sample("value_int", .int(7)), try sample("value_ints", .ints([1, -2])),
            ]
        }
    }
}
