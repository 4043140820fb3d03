import Autograd
import Operators
import TensorCore
import Testing

/// Products keep an operand only for the gradient of the other one.
@Suite struct SavedValuesTests {
    static let shapes: [String: [[Int]]] = [
        "Conv": [[2, 3, 8, 8], [4, 3, 3, 3], [4]], "Gemm": [[8, 16], [16, 4], [4]], "MatMul": [[8, 16], [16, 4]],
        "Mul": [[8, 16], [8, 16]],
    ]

    private func savedBytes(_ opType: String, needs: [Int]) throws -> Int {
        let type = try #require(OperatorRegistry.find(opType))
        let shapes = try #require(Self.shapes[opType])
        let inputs = try shapes.enumerated().map { index, shape in
            try Tensor(OperatorSample.values(shape).converted(to: .float32), requiresGrad: needs.contains(index))
        }
        let op = try type.init(NodeAttributes(opType: opType, opset: 13))
        return try #require(op(inputs)[0].gradFn).savedBytes
    }

    @Test(arguments: shapes.keys.sorted())
    func operandsOfProducts(opType: String) throws {
        let shapes = try #require(Self.shapes[opType])
        let bytes = shapes.map { 4 * elementCount($0) }
        #expect(try savedBytes(opType, needs: [0]) == bytes[1])
        #expect(try savedBytes(opType, needs: [1]) == bytes[0])
        #expect(try savedBytes(opType, needs: [0, 1]) == bytes[0] + bytes[1])
        if shapes.count == 3 { #expect(try savedBytes(opType, needs: [2]) == 0) }
    }
}
