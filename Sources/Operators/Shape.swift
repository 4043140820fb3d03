import TensorCore

extension Op {
    /// The shape as an `int64` vector, or its part start ..< end (15). ONNX Shape 1...
    public struct Shape: Operator {
        public static let opType = "Shape"
        public static var readsShapesOnly: Bool { true }
        let start: Int
        let end: Int?

        public init(start: Int = 0, end: Int? = nil) {
            self.start = start
            self.end = end
        }

        public init(_ node: NodeAttributes) throws {
            start = try node.int("start", default: 0)
            end = try node.int("end")
        }

        private func part(_ shape: [Int]) -> NDArray {
            func position(_ index: Int) -> Int { min(max(index < 0 ? index + shape.count : index, 0), shape.count) }
            let (first, last) = (position(start), end.map(position) ?? shape.count)
            return NDArray(first < last ? Array(shape[first..<last]) : [Int]())
        }

        public func relation(_ batch: BatchOperands, output: Int) -> BatchRelation { .counted }

        public func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] {
            [ValueInfo(part(try required(inputs, 0, "data").shape))]
        }

        public func forward(_ inputs: [NDArray?]) throws -> [NDArray] { [part(try required(inputs, 0, "data").shape)] }

        public static func samples() throws -> [OperatorSample] {
            let x = OperatorSample.values([2, 3, 4])
            return [
                OperatorSample("all", Op.Shape(), [x], differentiable: []),
                OperatorSample("part", Op.Shape(start: -2, end: 100), [x], differentiable: []),
                OperatorSample("nothing", Op.Shape(start: 2, end: 1), [x], differentiable: []),
                OperatorSample("scalar", Op.Shape(), [NDArray(scalar: 1.0)], differentiable: []),
            ]
        }
    }
}
