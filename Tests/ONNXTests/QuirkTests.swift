import Autograd
import Files
import NN
import Operators
import TensorCore
import TestSupport
import Testing

@testable import ONNX

/// What exporters do to a model, taken apart and put together again. More of it, with training, is in
/// `Tests/Fixtures/oracles`: weights in Constant nodes, behind Identity and Transpose, initializers listed as inputs,
/// NHWC, a batch fixed in the file.
@Suite struct QuirkTests {
    let picture = NDArray((0..<6).map { Float($0) - 2.5 }, shape: [2, 3])

    func values(_ count: Int, _ scale: Float) -> [Float] {
        (0..<count).map { Float(($0 * 7 + 3) % 11 - 5) * scale }
    }

    func attribute(_ node: inout Message, _ name: String, int value: Int64) {
        node.message(5) {
            $0.text(1, name)
            $0.int(3, value)
            $0.int(20, 2)
        }
    }

    func gemm(_ graph: inout Message, _ name: String, _ inputs: [String], _ output: String, transB: Int64 = 1) {
        graph.node("Gemm", inputs, [output]) {
            $0.text(3, "/\(name)/Gemm")
            attribute(&$0, "transB", int: transB)
        }
    }

    func importing(_ message: Message) throws -> ImportedModel {
        try ImportedModel(file: try ModelFile.read(message))
    }

    func output(_ model: ImportedModel, _ x: NDArray) throws -> NDArray {
        try noGrad { try model.module.eval()(Tensor(x)) }.array
    }

    /// The model after its unfrozen parameters have moved, and the same written and read again.
    func moved(_ message: Message, unfreeze pattern: String) throws -> (
        model: ImportedModel, copy: ImportedModel
    ) {
        let model = try importing(message)
        try model.module.unfreeze(matching: [pattern])
        for parameter in model.module.parameters() where parameter.requiresGrad {
            let new = parameter.detach() * 2 + 1
            try noGrad { _ = try parameter.copy_(new) }
        }
        return (model, try written(model))
    }

    func written(_ model: ImportedModel) throws -> ImportedModel {
        let bytes = try model.file.serialized(edits: try model.edits())
        return try ImportedModel(file: ModelFile(bytes: FileBytes(bytes, path: "copy.onnx"), limits: .default))
    }

    // MARK: - Merged initializers

    /// Two layers that read one weight and one bias; the second through `form`.
    private func merged(_ form: String, element: Int64 = 1) -> Message {
        .model { graph in
            for (name, dims): (String, [Int64]) in [("w", [3, 3]), ("b", [3])] {
                graph.message(5) { tensor in
                    for dim in dims { tensor.int(1, dim) }
                    tensor.int(2, element)
                    tensor.text(8, name)
                    let numbers = values(Int(dims.reduce(1, *)), 0.25)
                    tensor.data(9, element == 1 ? littleEndian(numbers) : littleEndian(numbers.map { Float16Bits($0) }))
                }
            }
            gemm(&graph, "fc1", ["x", "w", "b"], "h")
            graph.node("Relu", ["h"], ["r"])
            var second = ["w", "b"]
            if form == "Identity" {
                for name in second { graph.node("Identity", [name], ["\(name).alias"]) }
                second = second.map { $0 + ".alias" }
            } else if form == "named Identity" {
                // PyTorch's older exporter gives back the names that merging took.
                second = ["fc2.weight", "fc2.bias"]
                for (name, alias) in zip(["w", "b"], second) { graph.node("Identity", [name], [alias]) }
            } else if form == "Transpose" {
                graph.node("Transpose", ["w"], ["w.alias"])
                second[0] = "w.alias"
            }
            gemm(&graph, "fc2", ["r"] + second, "y", transB: form == "Transpose" ? 0 : 1)
            graph.valueInfo(11, "x", [2, 3], element: element)
            graph.valueInfo(12, "y", [2, 3], element: element)
        }
    }

    @Test(
        arguments: ["direct", "Identity", "named Identity", "Transpose"],
        ["fc1", "fc2", "fc1.bias", "fc1,fc2", "w"])
    func mergedInitializersLearnApart(form: String, pattern: String) throws {
        let original = try importing(merged(form))
        let (model, copy) = try moved(merged(form), unfreeze: pattern)
        #expect(difference(try output(model, picture), try output(original, picture)) != nil)
        #expect(difference(try output(copy, picture), try output(model, picture), rtol: 0, atol: 0) == nil)
        let names = model.module.namedParameters().map(\.name)
        #expect(names == ["fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"])
        for name in names {
            let (parameter, read) = (
                try #require(model.module.parameter(name)), try #require(copy.module.parameter(name))
            )
            #expect(read.array.isBitIdentical(to: parameter.array), "\(name)")
            guard !parameter.requiresGrad else { continue }
            #expect(read.array.isBitIdentical(to: try #require(original.module.parameter(name)).array), "\(name)")
        }
    }

    /// A head that shared its tensors with another layer gets its own, in the file's type.
    @Test(arguments: ["direct", "Identity", "named Identity"]) func aNewHeadIsSeparatedInItsOwnType(form: String) throws
    {
        let model = try importing(merged(form, element: 10))
        var random = RandomSource(seed: 1)
        try model.replaceHead(classes: 5, using: &random)
        let copy = try written(model)
        let tensors = copy.file.model.graph.initializers
        #expect(tensors.map(\.name) == ["w", "b", "fc2.weight", "fc2.bias"])
        #expect(tensors.allSatisfy { $0.dataType == .float16 })
        #expect(tensors.map(\.dims) == [[3, 3], [3], [5, 3], [5]])
        let shapes = (copy.file.model.graph.inputs + copy.file.model.graph.outputs).map(\.dimensions)
        #expect(shapes == [[.value(2), .value(3)], [.value(2), .value(5)]])
        let error = relativeError(try output(copy, picture), try output(model, picture))
        #expect(error < 2e-3)
    }

    /// Shapes in the file become those of the new head: not the batch, nor the number of axes, where these are as many as the
    /// classes were.
    @Test func aNewHeadChangesTheShapesThatFollow() throws {
        let message = Message.model { graph in
            graph.floats("fc.weight", [2, 3], values(6, 0.25))
            gemm(&graph, "fc", ["x", "fc.weight"], "y")
            graph.node("ArgMax", ["y"], ["best"]) {
                attribute(&$0, "axis", int: 1)
                attribute(&$0, "keepdims", int: 0)
            }
            graph.node("Shape", ["y"], ["size"])
            graph.node("Concat", ["x", "y"], ["both"]) { attribute(&$0, "axis", int: 1) }
            graph.valueInfo(11, "x", [2, 3])
            graph.valueInfo(12, "y", [2, 2])
            graph.valueInfo(13, "best", [2])
            graph.valueInfo(13, "size", [2])
            graph.valueInfo(13, "both", [2, 5])
        }
        let model = try importing(message)
        var random = RandomSource(seed: 1)
        try model.replaceHead(classes: 4, using: &random)
        try model.replaceHead(classes: 7, using: &random)
        let graph = try written(model).file.model.graph
        #expect(graph.outputs.map(\.dimensions) == [[.value(2), .value(7)]])
        #expect(graph.valueInfo.map(\.dimensions) == [[.value(2)], [.value(2)], [.value(2), .value(10)]])
    }

    /// PyTorch's newer exporter flattens to a target that holds the number of classes.
    @Test(arguments: [false, true]) func aNewHeadChangesTheTargetOfAReshape(isFixed: Bool) throws {
        let message = Message.model(opset: 18) { graph in
            graph.floats("conv.weight", [4, 2, 1, 1], values(8, 0.25))
            graph.ints("target", [isFixed ? 1 : -1, 4])
            // Names that the new target might be given inside.
            graph.valueInfo(13, "target for 3 classes", [1, 4])
            graph.valueInfo(13, "target for 3 classes for 5 classes", [2])
            graph.node("Conv", ["x", "conv.weight"], ["c"])
            graph.node("GlobalAveragePool", ["c"], ["p"])
            graph.node("Reshape", ["p", "target"], ["y"]) { attribute(&$0, "allowzero", int: 1) }
            graph.valueInfo(11, "x", [1, 2, 3, 3])
            graph.valueInfo(12, "y", [1, 4])
        }
        let model = try importing(message)
        var random = RandomSource(seed: 1)
        for classes in [3, 5] { try model.replaceHead(classes: classes, using: &random) }
        let copy = try written(model)
        let graph = copy.file.model.graph
        #expect(graph.outputs.map(\.dimensions) == [[.value(1), .value(5)]])
        #expect(graph.initializers.map(\.name) == ["conv.weight", "target", "target_5_classes"])
        #expect(try graph.initializers[1].array().integers() == [isFixed ? 1 : -1, 4])
        let picture = NDArray((0..<18).map { Float($0) }, shape: [1, 2, 3, 3])
        #expect(difference(try output(copy, picture), try output(model, picture), rtol: 0, atol: 0) == nil)
    }

    // MARK: - Names

    @Test(arguments: ["fc1.weight", "fc1", "onnx::Gemm_7", "onnx::Gemm*"])
    func lostNamesAreFoundByScopeOrInitializer(pattern: String) throws {
        let message = Message.model { graph in
            graph.floats("onnx::Gemm_7", [3, 3], values(9, 0.25))
            graph.floats("fc2.weight", [3, 3], values(9, 0.5))
            gemm(&graph, "fc1", ["x", "onnx::Gemm_7"], "h")
            gemm(&graph, "fc2", ["h", "fc2.weight"], "y")
            graph.valueInfo(11, "x", [2, 3])
            graph.valueInfo(12, "y", [2, 3])
        }
        let (model, copy) = try moved(message, unfreeze: pattern)
        #expect(model.module.namedParameters().filter { $0.parameter.requiresGrad }.map(\.name) == ["fc1.weight"])
        let changed = try ModelDifference(try ModelFile.read(message), copy.file).tensors.filter(\.changed)
        #expect(changed.map(\.name) == ["onnx::Gemm_7"])
    }

    /// PyTorch's dynamo records the modules around a node, the model itself as an empty name.
    @Test(arguments: ["['', 'block', 'block.0', 'mul_3']", "['block', 'block.0', 'mul']"])
    func mergedParametersAreNamedByTheirScope(scopes: String) throws {
        let message = Message.model { graph in
            graph.floats("other.7.layer_scale", [3], values(3, 0.25))
            for (input, output, scope) in [("x", "h", scopes), ("h", "y", "['', 'other', 'other.7', 'mul']")] {
                graph.node("Mul", [input, "other.7.layer_scale"], [output]) { node in
                    node.message(9) {
                        $0.text(1, "pkg.torch.onnx.name_scopes")
                        $0.text(2, scope)
                    }
                }
            }
            graph.valueInfo(11, "x", [2, 3])
            graph.valueInfo(12, "y", [2, 3])
        }
        let (model, copy) = try moved(message, unfreeze: "block.0")
        let names = ["block.0.layer_scale", "other.7.layer_scale"]
        #expect(model.module.namedParameters().map(\.name) == names)
        #expect(copy.module.namedParameters().map(\.name) == names)
        #expect(difference(try output(copy, picture), try output(model, picture), rtol: 0, atol: 0) == nil)
        let changed = try ModelDifference(try ModelFile.read(message), copy.file).tensors.filter(\.changed)
        #expect(changed.map(\.name) == ["block.0.layer_scale"])
    }

    // MARK: - Old operator sets

    /// Broadcasting asked for by attributes, and attributes that mean nothing today.
    @Test func operatorSetSix() throws {
        func network(_ opset: Int64) -> Message {
            .model(opset: opset) { graph in
                let isOld = opset < 7
                graph.floats("w", [3, 3], values(9, 0.25))
                graph.floats("b", [3], values(3, 0.5))
                graph.floats("scale", [3], [1, 2, 3])
                graph.floats("mean", [3], [0.5, 0, -0.5])
                graph.floats("var", [3], [1, 0.5, 2])
                graph.node("Gemm", ["x", "w", "b"], ["g"]) {
                    attribute(&$0, "transB", int: 1)
                    if isOld { attribute(&$0, "broadcast", int: 1) }
                }
                graph.node("BatchNormalization", ["g", "scale", "b", "mean", "var"], ["n"]) {
                    if isOld {
                        attribute(&$0, "is_test", int: 1)
                        attribute(&$0, "spatial", int: 1)
                    }
                }
                graph.node("Dropout", ["n"], ["d"]) { if isOld { attribute(&$0, "is_test", int: 1) } }
                graph.node("Mul", ["d", "scale"], ["m"]) {
                    if isOld {
                        attribute(&$0, "broadcast", int: 1)
                        attribute(&$0, "axis", int: 1)
                    }
                }
                graph.node("Softmax", ["m"], ["y"]) { attribute(&$0, "axis", int: 1) }
                graph.valueInfo(11, "x", [2, 3])
                graph.valueInfo(12, "y", [2, 3])
            }
        }
        let (old, new) = (try importing(network(6)), try importing(network(13)))
        #expect(difference(try output(old, picture), try output(new, picture), rtol: 0, atol: 0) == nil)
        let (model, copy) = try moved(network(6), unfreeze: "all")
        #expect(difference(try output(copy, picture), try output(model, picture), rtol: 0, atol: 0) == nil)
    }

    // MARK: - Other sizes than the file's

    private func convolution(flattened: Bool) -> Message {
        .model { graph in
            graph.floats("conv.weight", [2, 1, 3, 3], values(18, 0.1))
            let features: Int64 = flattened ? 8 : 2
            graph.floats("fc.weight", [3, features], values(Int(3 * features), 0.2))
            graph.node("Conv", ["x", "conv.weight"], ["c"])
            if !flattened { graph.node("GlobalAveragePool", ["c"], ["p"]) }
            graph.node("Flatten", [flattened ? "c" : "p"], ["f"])
            gemm(&graph, "fc", ["f", "fc.weight"], "y")
            graph.valueInfo(11, "x", [1, 1, 4, 4])
            graph.valueInfo(12, "y", [1, 3])
        }
    }

    /// Another batch and another picture size than the file fixes, where nothing depends on them.
    @Test func sizesAreOverridden() throws {
        let model = try ImportedModel(file: ModelFile.read(convolution(flattened: false)), imageSize: (7, 9))
        #expect(try model.module.classCount(imageSize: (7, 9)) == 3)
        let pictures = OperatorSample.values([5, 1, 7, 9]).converted(to: .float32)
        let together = try output(model, pictures)
        for index in 0..<5 {
            let alone = try output(model, pictures.rows(index..<index + 1))
            #expect(difference(together.rows(index..<index + 1), alone, rtol: 1e-6, atol: 1e-6) == nil)
        }
    }

    /// PyTorch's newer exporter writes the batch into every Reshape, and `allowzero` beside it.
    @Test(arguments: [Int64(0), 1]) func aBatchInAReshapeIsOverridden(allowZero: Int64) throws {
        let model = try importing(
            .model(opset: 18) { graph in
                graph.floats("fc.weight", [2, 3], values(6, 0.25))
                graph.ints("shape", [2, 3])
                graph.node("Reshape", ["x", "shape"], ["r"]) { attribute(&$0, "allowzero", int: allowZero) }
                gemm(&graph, "fc", ["r", "fc.weight"], "y")
                graph.valueInfo(11, "x", [2, 3, 1])
                graph.valueInfo(12, "y", [2, 2])
            })
        #expect(try output(model, .zeros([5, 3, 1], dtype: .float32)).shape == [5, 2])
        #expect(try model.module.classCount() == 2)
    }

    @Test func aSizeThatTheGraphDoesNotAllowIsRefusedAtTheNode() throws {
        let model = try importing(convolution(flattened: true))
        #expect(try model.module.classCount() == 3)
        let error = #expect(throws: (any Error).self) { try model.module.classCount(imageSize: (7, 9)) }
        #expect("\(try #require(error))".contains("Gemm '/fc/Gemm'"))
    }
}
