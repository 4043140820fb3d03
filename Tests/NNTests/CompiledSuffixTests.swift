import Autograd
import GraphIR
import NN
import Operators
import TensorCore
import TestSupport
import Testing

/// A small residual network with batch norms, and one whose convolutions have biases instead.
private struct Network {
    var graph = Graph()
    private let hasNorms: Bool
    private var random = RandomSource(seed: 3)

    /// Channels that fill no block, that fill some exactly, and so many that Winograd's weights are not packed.
    init(widths: [Int] = [20, 32, 176], hasNorms: Bool = true) throws {
        self.hasNorms = hasNorms
        let input = graph.addValue("x")
        graph.inputs = [input]
        var x = try convolve(input, 3, widths[0], 7, 2, "stem")
        x = node(Op.Relu(), [x], "stem.relu")
        x = node(Op.MaxPool(kernelShape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1]), [x], "pool")
        var channels = widths[0]
        for (index, width) in widths.enumerated() {
            let name = "layer\(index)", stride = index == 0 ? 1 : 2
            var y = try convolve(x, channels, width, 3, stride, "\(name).conv1")
            y = node(Op.Relu(), [y], "\(name).relu1")
            y = try convolve(y, width, width, 3, 1, "\(name).conv2")
            if index > 0 { x = try convolve(x, channels, width, 1, stride, "\(name).downsample") }
            x = node(Op.Relu(), [node(Op.Add(), [y, x], "\(name).add")], "\(name).relu2")
            channels = width
        }
        x = node(Op.Flatten(), [node(Op.GlobalAveragePool(), [x], "pooled")], "flat")
        x = node(Op.Gemm(), [x, try constant([channels, 5], 0.2, "fc.weight")], "fc")
        graph.outputs = [x]
    }

    private mutating func node(_ op: any Operator, _ inputs: [ValueID?], _ name: String) -> ValueID {
        let output = graph.addValue("\(name).y")
        graph.nodes.append(Graph.Node(name: name, op: op, inputs: inputs, outputs: [output]))
        return output
    }

    private mutating func constant(
        _ shape: [Int], _ scale: Double, offset: Double = 0, _ name: String
    ) throws -> ValueID {
        let id = graph.addValue(name)
        let noise = try NDArray.randomUniform(shape, -1, 1, from: &random)
        graph.constants[id] = NDArray(noise.doubles().map { Float($0 * scale + offset) }, shape: shape)
        return id
    }

    private mutating func convolve(
        _ x: ValueID, _ from: Int, _ to: Int, _ kernel: Int, _ stride: Int, _ name: String
    ) throws -> ValueID {
        let scale = (6 / Double(from * kernel * kernel)).squareRoot()
        let pads = [Int](repeating: kernel / 2, count: 4)
        let op = Op.Conv(strides: [stride, stride], pads: pads, kernelShape: [kernel, kernel])
        let weight = try constant([to, from, kernel, kernel], scale, "\(name).weight")
        guard hasNorms else { return node(op, [x, weight, try constant([to], 0.2, "\(name).bias")], name) }
        let y = node(op, [x, weight], name)
        let numbers = try [("weight", 1.0), ("bias", 0), ("running_mean", 0), ("running_var", 1)].map {
            try constant([to], 0.2, offset: $1, "\(name).bn.\($0)")
        }
        return node(Op.BatchNormalization(), [y] + numbers, "\(name).bn")
    }
}

@Suite struct CompiledSuffixTests {
    /// A module whose parts that match `patterns` train, and what enters them for a batch of pictures.
    private func cut(
        _ network: Network, _ patterns: [String], followsBatch: Bool
    ) throws -> (module: GraphModule, nodes: [Int], given: [ValueID: Tensor], constants: [ValueID: NDArray]) {
        let module = try GraphModule(network.graph)
        try module.unfreeze(matching: patterns)
        module.setFrozenStatistics(!followsBatch)
        module.train()
        let cut = module.cut()
        let constants = try module.graph.computeConstants(cut.constant, from: module.currentConstants())
        var random = RandomSource(seed: 9)
        let pictures = try NDArray.randomNormal([3, 3, 62, 58], from: &random)
        let plan = InferencePlan(
            module.graph, nodes: cut.prefix, constants: constants, results: cut.boundary,
            relations: try? BatchRelations(module.graph, imageSize: (62, 58)))
        let features = try plan.run([module.graph.inputs[0]: pictures])
        return (
            module, cut.suffix, Dictionary(uniqueKeysWithValues: zip(cut.boundary, features.map { Tensor($0) })),
            constants
        )
    }

    /// Whether the compiled function is among what was recorded.
    private func recordsSuffix(_ tensor: Tensor) -> Bool {
        var stack = [tensor.gradFn].compactMap { $0 }
        while let node = stack.popLast() {
            if "\(node)".contains("Suffix") { return true }
            for case .node(let next, _)? in node.nextFunctions { stack.append(next) }
        }
        return false
    }

    private func loss(_ logits: Tensor) -> Tensor { (logits * Tensor.randn(logits.shape, seed: 4)).sum() }

    private static let cases: [(patterns: [String], hasNorms: Bool, followsBatch: Bool)] = [
        (["all"], true, true), (["all"], true, false), (["layer2"], true, true), (["layer1.conv2", "fc"], true, true),
        (["*.bn"], true, true), (["*.bn.bias", "layer1.conv1"], true, false), (["all"], false, false),
        (["layer1.conv2", "layer2"], false, false), (["*.bias"], false, false), (["fc"], true, true),
    ]

    @Test(arguments: cases.indices) func equalsTheTape(index: Int) throws {
        let (patterns, hasNorms, followsBatch) = Self.cases[index]
        let network = try Network(hasNorms: hasNorms)
        let tape = try cut(network, patterns, followsBatch: followsBatch)
        let compiled = try cut(network, patterns, followsBatch: followsBatch)
        let suffix = CompiledSuffix(compiled.module)
        for step in 0..<2 {
            let expected = try tape.module.run(tape.nodes, tape.given, constants: tape.constants)
            let found = try suffix.run(compiled.nodes, compiled.given, constants: compiled.constants)
            let logits = try (#require(expected[tape.module.logits]), #require(found[compiled.module.logits]))
            let error = relativeError(logits.1.array, logits.0.array)
            #expect(error < 2e-5, "step \(step): logits off by \(error)")
            #expect(recordsSuffix(logits.1) == (patterns != ["fc"]))
            try loss(logits.0).backward()
            try loss(logits.1).backward()
        }
        let found = compiled.module.namedParameters()
        for ((name, expected), (_, parameter)) in zip(tape.module.namedParameters(), found) {
            #expect((expected.grad == nil) == (parameter.grad == nil), "\(name): one gradient is missing")
            guard let wanted = expected.grad, let gradient = parameter.grad else { continue }
            let error = relativeError(gradient.array, wanted.array)
            #expect(error < 2e-4, "\(name): gradient off by \(error)")
        }
        let buffers = compiled.module.namedBuffers()
        for ((name, expected), (_, buffer)) in zip(tape.module.namedBuffers(), buffers) {
            #expect(relativeError(buffer.array, expected.array) < 1e-5, "\(name) differs")
        }
    }

    @Test func recordsNothingWithoutGradients() throws {
        let compiled = try cut(Network(), ["all"], followsBatch: false)
        let tape = try compiled.module.run(compiled.nodes, compiled.given, constants: compiled.constants)
        let suffix = CompiledSuffix(compiled.module)
        let found = try noGrad { try suffix.run(compiled.nodes, compiled.given, constants: compiled.constants) }
        let logits = try #require(found[compiled.module.logits])
        #expect(!logits.requiresGrad)
        #expect(relativeError(logits.array, try #require(tape[compiled.module.logits]).array) < 2e-5)
    }

    /// What the first pass overwrote is computed again, by the tape.
    @Test func aSecondPassGivesTheSameGradients() throws {
        let compiled = try cut(Network(), ["layer1", "layer2"], followsBatch: true)
        let suffix = CompiledSuffix(compiled.module)
        let found = try suffix.run(compiled.nodes, compiled.given, constants: compiled.constants)
        let value = loss(try #require(found[compiled.module.logits]))
        try value.backward(retainGraph: true)
        let trained = compiled.module.parameters().filter(\.requiresGrad)
        let first = try trained.map { try #require($0.grad).array }
        compiled.module.zeroGrad()
        try value.backward()
        for (parameter, gradient) in zip(trained, first) {
            let error = relativeError(try #require(parameter.grad).array, gradient)
            #expect(error < 2e-4, "\(parameter.name ?? ""): off by \(error)")
        }
    }

    @Test func higherDerivativesEqualTheTapes() throws {
        func second(_ run: (GraphModule, [Int], [ValueID: Tensor], [ValueID: NDArray]) throws -> Tensor) throws
            -> NDArray
        {
            let (module, nodes, given, constants) = try cut(
                Network(widths: [16, 20]), ["layer1.conv2"], followsBatch: true)
            let weight = try #require(module.parameters().first { $0.requiresGrad && $0.rank == 4 })
            let value = try run(module, nodes, given, constants)
            let gradient = try grad(of: loss(value.square()), wrt: weight, createGraph: true)
            return try grad(of: gradient.square().sum(), wrt: weight).array
        }
        let expected = try second { module, nodes, given, constants in
            try #require(module.run(nodes, given, constants: constants)[module.logits])
        }
        let found = try second { module, nodes, given, constants in
            try #require(CompiledSuffix(module).run(nodes, given, constants: constants)[module.logits])
        }
        let error = relativeError(found, expected)
        #expect(error < 1e-3, "off by \(error)")
    }

    @Test func hooksRunOnceUnderCreateGraph() throws {
        let compiled = try cut(Network(widths: [16, 20]), ["layer1.conv2"], followsBatch: true)
        let weight = try #require(compiled.module.parameters().first { $0.requiresGrad && $0.rank == 4 })
        let found = try CompiledSuffix(compiled.module).run(
            compiled.nodes, compiled.given, constants: compiled.constants)
        let value = loss(try #require(found[compiled.module.logits]))
        var calls = 0
        try weight.registerHook { gradient in
            calls += 1
            return gradient * 2
        }
        _ = try grad(of: value, wrt: weight, createGraph: true)
        #expect(calls == 1)
        try value.backward(createGraph: true)
        #expect(calls == 2)
    }

    @Test func refusesAParameterChangedMeanwhile() throws {
        let compiled = try cut(Network(), ["layer2"], followsBatch: true)
        let found = try CompiledSuffix(compiled.module).run(
            compiled.nodes, compiled.given, constants: compiled.constants)
        let value = loss(try #require(found[compiled.module.logits]))
        let parameter = try #require(compiled.module.parameters().first { $0.requiresGrad })
        try noGrad { try parameter.mutate { $0.scaleInPlace(2) } }
        #expect(throws: AutogradError.self) { try value.backward() }
    }

    /// A convolution as head, replaced after a program was made for the old one.
    @Test func followsANewHead() throws {
        var graph = Graph()
        let x = graph.addValue("x", declared: .init(.float32, [.fixed(2), .fixed(3), .fixed(8), .fixed(8)]))
        graph.inputs = [x]
        var random = RandomSource(seed: 5)
        func node(_ op: any Operator, _ inputs: [ValueID?], _ name: String) -> ValueID {
            let output = graph.addValue("\(name).y")
            graph.nodes.append(Graph.Node(name: name, op: op, inputs: inputs, outputs: [output]))
            return output
        }
        func constant(_ shape: [Int], _ name: String) throws -> ValueID {
            let id = graph.addValue(name)
            graph.constants[id] = try NDArray.randomUniform(shape, -1, 1, from: &random)
            return id
        }
        let stem = node(Op.Conv(pads: [1, 1, 1, 1]), [x, try constant([16, 3, 3, 3], "stem.weight")], "stem")
        let weights = [try constant([5, 16, 1, 1], "head.weight"), try constant([5], "head.bias")]
        let head = node(Op.Conv(), [node(Op.Relu(), [stem], "relu")] + weights, "head")
        graph.outputs = [node(Op.Flatten(), [node(Op.GlobalAveragePool(), [head], "pool")], "flat")]
        let module = try GraphModule(graph)
        try module.unfreeze(matching: ["all"])
        module.train()
        let suffix = CompiledSuffix(module)
        let pictures = Tensor(try NDArray.randomUniform([2, 3, 8, 8], -1, 1, from: &random))
        func logits(_ run: ([Int], [ValueID: Tensor], [ValueID: NDArray]) throws -> [ValueID: Tensor]) throws -> NDArray
        {
            let cut = module.cut()
            let constants = try module.graph.computeConstants(cut.constant, from: module.currentConstants())
            return try #require(try run(cut.suffix, [x: pictures], constants)[module.logits]).array
        }
        _ = try logits { try suffix.run($0, $1, constants: $2) }
        try module.replaceHead(classes: 5, using: &random)
        let expected = try logits { try module.run($0, $1, constants: $2) }
        #expect(relativeError(try logits { try suffix.run($0, $1, constants: $2) }, expected) < 1e-5)
    }
}
