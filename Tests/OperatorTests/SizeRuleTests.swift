import Operators
import TensorCore
import Testing

/// What files may ask for is refused by shape rules and by what computes, never a trap.
@Suite struct SizeRuleTests {
    private static let sizes = [0, 1 << 31, 1 << 46, 1 << 62, Int.max]

    /// Each dimension of each input of each sample, replaced by sizes that no array has.
    @Test(arguments: OperatorRegistry.all.map { $0.fullName })
    func shapeRulesTakeAnySizes(opType: String) throws {
        let type = try #require(OperatorRegistry.find(opType))
        for sample in try type.samples() {
            let inputs = sample.inputs.map { $0.map { ValueInfo($0) } }
            for (index, input) in inputs.enumerated() {
                guard let input else { continue }
                for axis in input.shape.indices {
                    for size in Self.sizes {
                        var changed = inputs
                        var shape = input.shape
                        shape[axis] = size
                        changed[index] = ValueInfo(input.dtype, shape)
                        let sizes = (try? sample.op.infer(changed))?.flatMap(\.shape) ?? []
                        #expect(sizes.allSatisfy { $0 >= 0 }, "\(opType), \(sample.name), \(shape)")
                    }
                }
            }
        }
    }

    /// Windows whose attributes are as large as a file can write them.
    @Test(arguments: ["Conv", "ConvTranspose", "MaxPool", "AveragePool"])
    func windowsOfAnySizes(opType: String) throws {
        let type = try #require(OperatorRegistry.find(opType))
        let isPool = opType.hasSuffix("Pool")
        var inputs: [NDArray?] = [NDArray.zeros([1, 2, 4, 4])]
        if !isPool { inputs.append(NDArray.zeros([2, 2, 3, 3])) }
        for size in [-1, 0, Int(Int32.max), 1 << 40, Int.max, Int.min] {
            for name in ["pads", "strides", "dilations", "kernel_shape", "group", "output_padding", "output_shape"] {
                for autoPad in ["NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"] {
                    var values: [String: AttributeValue] = ["auto_pad": .string(autoPad)]
                    if isPool { values["kernel_shape"] = .ints([3, 3]) }
                    switch name {
                    case "group": values[name] = .int(size)
                    case "pads": values[name] = .ints([size, 0, 0, size])
                    default: values[name] = .ints([size, size])
                    }
                    let node = NodeAttributes(
                        opType: opType, opset: 13, inputCount: inputs.count, outputCount: 1, values)
                    guard let op = try? type.init(node) else { continue }
                    _ = try? op.infer(inputs.map { $0.map { ValueInfo($0.dtype, $0.shape) } })
                    _ = try? op.forward(inputs)
                }
            }
        }
    }

    /// Empty operands whose results, or what they are computed through, would fill the memory.
    @Test func resultsOfNothing() throws {
        let large = 1 << 30
        let planes = NDArray.zeros([large, large, 0])
        let refused: [any Operator] = [
            Op.ReduceSum(axes: [2]), Op.ReduceMean(axes: [2]), Op.ReduceMax(axes: [2]), Op.ReduceMin(axes: [2]),
            Op.ReduceProd(axes: [2]), Op.ReduceLogSumExp(axes: [2]), Op.ReduceL1(axes: [2]), Op.GlobalAveragePool(),
        ]
        for op in refused { #expect(throws: ShapeError.self, "\(op)") { try op.forward([planes]) } }
        let triangle = try Op.Trilu().forward([.zeros([0, large, large])])[0]
        #expect(triangle.shape == [0, large, large])
        let scores = NDArray.zeros([0, 1 << 40])
        let loss = Op.NegativeLogLikelihoodLoss(reduction: .sum)
        #expect(try loss.forward([scores, NDArray([Int](), shape: [0])])[0].item() == 0)
    }

    @Test func conversionsAreLimited() {
        let bytes = NDArray.zeros([0, 1 << 35], dtype: .int8)
        #expect(throws: ShapeError.self) { try Op.Cast(to: .float64).forward([bytes]) }
    }

    /// A plane of more than a million elements is one window.
    @Test func globalMaximumOfALargePlane() throws {
        var x = NDArray.zeros([1, 1, 1040, 1040])
        x.withMutableElements(as: Float.self) { $0[1_000_003] = 7 }
        #expect(try Op.GlobalMaxPool().forward([x])[0].doubles() == [7])
    }

    @Test func parametricReluKeepsInfinity() throws {
        let x = NDArray([Float.infinity, -.infinity, 2, -2])
        let y = try Op.PRelu().forward([x, NDArray([Float(0.5)])])[0]
        #expect(y.doubles() == [.infinity, -.infinity, 2, -1])
    }
}
