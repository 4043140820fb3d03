import Autograd
import Operators
import TensorCore
import TestSupport
import Testing

/// Every operator's rule for the batch: what it calls `images` is, computed picture by picture, what the whole batch gives.
@Suite struct BatchRelationTests {
    @Test func everyRuleHoldsPictureByPicture() throws {
        var checked: [String: Int] = [:]
        for type in OperatorRegistry.all {
            checked[type.opType] = 0
            for sample in try type.samples() {
                for pictures in RelatedSample.all(sample) {
                    guard let faults = try pictures.faults(sample.op) else { continue }
                    checked[type.opType, default: 0] += 1
                    #expect(faults.isEmpty, "\(type.opType), \(sample.name), \(pictures.axes): \(faults)")
                }
            }
        }
        // Rules that no sample can show: nothing of pictures goes in, or the rule says nothing.
        let without = Set(checked.filter { $0.value == 0 }.keys)
        #expect(without == BatchRelationTests.without, "rules that were not shown, or are now")
    }

    private static let without: Set<String> = [
        "Constant", "ConstantOfShape", "EyeLike", "NegativeLogLikelihoodLoss", "Range", "RoiAlign", "Shape", "Size",
        "SoftmaxCrossEntropyLoss",
    ]

    /// The check itself: rules that are wrong are found.
    @Test func wrongRulesAreFound() throws {
        func isFound(_ op: any Operator, _ inputs: [NDArray?]) throws -> Bool {
            let sample = OperatorSample("wrong", op, inputs, differentiable: [])
            return try RelatedSample.all(sample).contains { try $0.faults(op)?.isEmpty == false }
        }
        let x = OperatorSample.values([3, 4])
        #expect(try isFound(WrongSoftmax(), [x]))
        #expect(try isFound(WrongRunningSum(), [x, NDArray(scalar: 0)]))
        #expect(try !isFound(Op.Softmax(axis: 0), [x]))
    }

    @Test func axesComeOutOfShapes() throws {
        func axis(_ outer: Int, _ inner: Int, _ shape: [Int], _ pictures: Int) -> PictureAxis? {
            let x = BatchOperands.Operand(.images(PictureAxis(axis: 1)), [outer, pictures, inner])
            let batch = BatchOperands(pictures: pictures, inputs: [x, nil], outputs: [shape])
            return try? Op.Reshape(NodeAttributes(opType: "Reshape", opset: 13)).relation(batch, output: 0).pictures
        }
        #expect(axis(1, 12, [3, 12], 3) == PictureAxis(axis: 0))
        #expect(axis(1, 12, [3, 4, 3], 3) == PictureAxis(axis: 0))
        #expect(axis(1, 12, [12, 3], 3) == PictureAxis(axis: 0, rows: 4))
        #expect(axis(17, 8, [51, 8], 3) == PictureAxis(axis: 0, repeats: 17))
        #expect(axis(17, 8, [17, 6, 4], 3) == PictureAxis(axis: 1, rows: 2))
        #expect(axis(4, 8, [2, 12, 4], 3) == PictureAxis(axis: 1, repeats: 2, rows: 2))
        #expect(axis(4, 5, [10, 6], 3) == nil)
    }

    @Test func rowsAreSplitAndJoined() throws {
        for (axis, shape) in [
            (PictureAxis(), [3, 2, 2]), (PictureAxis(axis: 0, rows: 2), [6, 2]), (PictureAxis(axis: 1), [2, 3, 2]),
            (PictureAxis(axis: 0, repeats: 2), [6, 2]), (PictureAxis(axis: 1, repeats: 2, rows: 2), [2, 12]),
        ] {
            let x = OperatorSample.values(shape)
            let rows = try axis.split(x, pictures: 3)
            #expect(rows.shape[0] == 3)
            #expect(difference(try axis.join(rows, shape: shape), x, rtol: 0, atol: 0) == nil, "\(axis)")
            // One picture of the three, as a batch of its own.
            let one = try axis.join(rows.rows(1..<2), shape: shape)
            #expect(one.shape == axis.shape(shape, pictures: 1))
        }
    }
}

/// A sample some of whose inputs are of pictures.
private struct RelatedSample {
    let inputs: [NDArray?]
    /// By input.
    let axes: [Int: Int]
    let pictures: Int

    /// Every way to see one input, two or three as pictures along an axis.
    static func all(_ sample: OperatorSample) -> [RelatedSample] {
        var choices: [(input: Int, axis: Int, size: Int)] = []
        for (input, array) in sample.inputs.enumerated() {
            for (axis, size) in (array?.shape ?? []).enumerated() where size > 1 { choices.append((input, axis, size)) }
        }
        var result = choices.map { RelatedSample(inputs: sample.inputs, axes: [$0.input: $0.axis], pictures: $0.size) }
        for a in choices {
            for b in choices where b.input > a.input && b.size == a.size {
                let both = [a.input: a.axis, b.input: b.axis]
                result.append(RelatedSample(inputs: sample.inputs, axes: both, pictures: a.size))
                for c in choices where c.input > b.input && c.size == a.size {
                    let all = both.merging([c.input: c.axis]) { $1 }
                    result.append(RelatedSample(inputs: sample.inputs, axes: all, pictures: a.size))
                }
            }
        }
        return result
    }

    /// What differs between the batch and its pictures; nil where the rule calls nothing `images`.
    func faults(_ op: any Operator) throws -> [String]? {
        let shapes = try op.infer(inputs.map { $0.map { ValueInfo($0) } }).map(\.shape)
        let operands = inputs.enumerated().map { input, array in
            array.map { array -> BatchOperands.Operand in
                guard let axis = axes[input] else { return .init(.constant, array.shape, value: array) }
                return .init(.images(PictureAxis(axis: axis)), array.shape)
            }
        }
        let batch = BatchOperands(pictures: pictures, inputs: operands, outputs: shapes)
        let found = shapes.indices.map { op.relation(batch, output: $0).pictures }
        guard found.contains(where: { $0 != nil }) else { return nil }
        let whole = try op.forward(inputs)
        let singles = try (0..<pictures).map { picture in try single(picture) }
        // Shapes that hold for one batch size only are told by asking at another one.
        guard let one = try? op.infer(singles[0].map { $0.map { ValueInfo($0) } }).map(\.shape),
            zip(found, zip(shapes, one)).allSatisfy({ axis, shapes in
                axis.map { $0.shape(shapes.0, pictures: 1) == shapes.1 } ?? true
            })
        else { return nil }
        var faults: [String] = []
        for (picture, own) in singles.enumerated() {
            guard let results = try? op.forward(own) else { return ["picture \(picture) cannot be computed alone"] }
            for (output, axis) in found.enumerated() {
                guard let axis else { continue }
                let expected = try axis.split(whole[output], pictures: pictures).rows(picture..<picture + 1)
                let alone = try axis.split(results[output], pictures: 1)
                if let fault = difference(alone, expected, rtol: 1e-12, atol: 1e-12) {
                    faults.append("output \(output) of picture \(picture): \(fault)")
                }
            }
        }
        return faults
    }

    private func single(_ picture: Int) throws -> [NDArray?] {
        try inputs.enumerated().map { input, array in
            guard let array, let axis = axes[input] else { return array }
            return try array.slice(starts: [picture], ends: [picture + 1], axes: [axis], steps: [1])
        }
    }
}

/// A softmax over the pictures that claims to treat each by itself.
private struct WrongSoftmax: Operator {
    static let opType = "WrongSoftmax"
    init() {}
    init(_ node: NodeAttributes) throws {}
    static func samples() throws -> [OperatorSample] { [] }
    func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] { try Op.Softmax(axis: 0).infer(inputs) }
    func forward(_ inputs: [NDArray?]) throws -> [NDArray] { try Op.Softmax(axis: 0).forward(inputs) }
    func relation(_ batch: BatchOperands, output: Int) -> BatchRelation { batch.aligned() }
}

/// Sums that run from picture to picture, with a rule that looks at no axis.
private struct WrongRunningSum: Operator {
    static let opType = "WrongRunningSum"
    static var maximumInputs: Int { 2 }
    init() {}
    init(_ node: NodeAttributes) throws {}
    static func samples() throws -> [OperatorSample] { [] }
    func infer(_ inputs: [ValueInfo?]) throws -> [ValueInfo] { try Op.CumSum().infer(inputs) }
    func forward(_ inputs: [NDArray?]) throws -> [NDArray] { try Op.CumSum().forward(inputs) }
    func relation(_ batch: BatchOperands, output: Int) -> BatchRelation { batch.along() }
}
