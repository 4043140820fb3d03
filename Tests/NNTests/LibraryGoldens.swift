import Autograd
import NN
import Operators
import Optim
import Safetensors
import TensorCore
import TestSupport
import Testing

/// Losses, layers, tensor functions and optimizers beside PyTorch's; `scripts/make_library_goldens.py` makes the numbers.
@Suite struct LibraryGoldens {
    private typealias Body = @Sendable ([Tensor]) throws -> Tensor

    private static let functions: [String: Body] = [
        "l1": { try L1Loss()($0[0], $0[1]) }, "smoothL1": { try SmoothL1Loss(beta: 0.7)($0[0], $0[1]) },
        "huber": { try HuberLoss(delta: 0.7, reduction: .sum)($0[0], $0[1]) }, "bce": { try BCELoss()($0[0], $0[1]) },
        "bceLogits": { try BCEWithLogitsLoss(positiveWeight: $0[2])($0[0], $0[1]) },
        "kl": { try KLDivLoss(batchMean: true)($0[0].logSoftmax(dim: 1), $0[1].softmax(dim: 1)) },
        "cosineEmbedding": { try CosineEmbeddingLoss(margin: 0.1)($0[0], $0[1], $0[2]) },
        "triplet": { try TripletMarginLoss(swap: true)($0[0], $0[1], $0[2]) },
        "nearest": { try Upsample(size: [7, 3])($0[0]) },
        "bilinear": { try Upsample(scaleFactor: 2, mode: .linear())($0[0]) },
        "bilinearCorners": { try Upsample(size: [7, 3], mode: .linear(alignCorners: true))($0[0]) },
        "einsum": { try einsum("bij,bjk->bki", $0[0], $0[1]) }, "einsumTrace": { try einsum("bii->i", $0[0]) },
        "einsumEllipsis": { try einsum("...ij,jk->...ik", $0[0], $0[1]) }, "outer": { $0[0].outer($0[1]) },
        "roll": { $0[0].roll(-2, dim: 1).flip(0) },
    ]

    private let file: SafetensorsFile

    init() throws {
        file = try SafetensorsFile(path: TestFiles.fixtures.appendingPathComponent("library/torch.safetensors").path)
    }

    private func golden(_ name: String) throws -> NDArray { try file.tensor(named: name) }
    private func has(_ name: String) -> Bool { (try? file.tensor(named: name)) != nil }

    private func check(_ name: String, _ value: Tensor, _ leaves: [Tensor]) throws {
        #expect(difference(value.array, try golden("\(name)/value"), rtol: 1e-5, atol: 1e-6) == nil, "\(name)")
        try (value * value).sum().backward()
        for (index, leaf) in leaves.enumerated() where has("\(name)/grad/\(index)") {
            let gradient = try leaf.gradient().array
            let expected = try golden("\(name)/grad/\(index)")
            // Where a gradient is what is left of larger terms, as behind a norm, only its rounding differs.
            let error = zip(gradient.doubles(), expected.doubles()).map { abs($0 - $1) }.max() ?? 0
            let scale = max(1, expected.doubles().map(abs).max() ?? 0)
            #expect(gradient.shape == expected.shape && error < 2e-5 * scale, "\(name), gradient \(index): \(error)")
        }
    }

    @Test(arguments: functions.keys.sorted()) func functionsEqualPyTorch(name: String) throws {
        let body = try #require(Self.functions[name])
        var leaves: [Tensor] = []
        while has("\(name)/input/\(leaves.count)") {
            let index = leaves.count
            leaves.append(
                try Tensor(golden("\(name)/input/\(index)"), requiresGrad: has("\(name)/grad/\(index)")))
        }
        try check(name, body(leaves), leaves)
    }

    @Test func layersEqualPyTorch() throws {
        func parameter(_ name: String) throws -> Parameter { Parameter(try golden(name)) }
        let table = try Embedding(weight: parameter("embedding/input/0"), paddingIndex: 1)
        try check("embedding", table(Tensor(golden("embedding/input/1"))), [table.weight])

        let norm = BatchNorm1d(3)
        try norm.load(
            stateDict: [
                "weight": golden("batchNorm1d/input/1"), "bias": golden("batchNorm1d/input/2"),
            ], strict: false)
        let x = try Tensor(golden("batchNorm1d/input/0"), requiresGrad: true)
        let (weight, bias) = (try #require(norm.weight), try #require(norm.bias))
        try check("batchNorm1d", norm(x), [x, weight, bias])

        let layer = MultiheadAttention(6, heads: 2, batchFirst: true)
        try layer.load(stateDict: [
            "in_proj_weight": golden("attention/input/2"), "in_proj_bias": golden("attention/input/3"),
            "out_proj.weight": golden("attention/input/4"), "out_proj.bias": golden("attention/input/5"),
        ])
        let query = try Tensor(golden("attention/input/0"), requiresGrad: true)
        let key = try Tensor(golden("attention/input/1"), requiresGrad: true)
        try check("attention", layer(query, key, key).output, [query, key] + layer.parameters())
    }

    @Test func optimizersFollowPyTorch() throws {
        let makers: [String: (Parameter) throws -> Optimizer] = [
            "rmsprop": { try RMSprop([$0], learningRate: 0.05, weightDecay: 0.1) },
            "rmspropCentered": { try RMSprop([$0], learningRate: 0.05, momentum: 0.9, centered: true) },
            "adagrad": {
                try Adagrad(
                    [$0], learningRate: 0.1, learningRateDecay: 0.1, weightDecay: 0.1, initialAccumulatorValue: 0.1)
            },
            "maximize": { try SGD([$0], learningRate: 0.05, momentum: 0.9, maximize: true) },
            "adamMaximize": { try Adam([$0], learningRate: 0.05, maximize: true) },
        ]
        let factor = Tensor(try golden("optimizer/factor"))
        for (name, make) in makers {
            let q = Parameter(try golden("optimizer/start"))
            let optimizer = try make(q)
            for step in 0..<10 {
                optimizer.zeroGrad()
                try (q.sin() * factor).sum().backward()
                try optimizer.step()
                let expected = try golden("optimizer/\(name)/\(step)")
                #expect(difference(q.array, expected, rtol: 2e-5, atol: 1e-6) == nil, "\(name), step \(step)")
            }
        }
    }

    @Test func averagesAreMeans() throws {
        let net = Linear(1, 1, bias: false)
        let (ema, swa) = (WeightAverage(net, .exponential(decay: 0.75)), WeightAverage(net, .equal))
        for value in [1.0, 2, 6] {
            try noGrad { _ = try net.weight.fill_(value) }
            try ema.update()
            try swa.update()
        }
        #expect(ema.state["weight"]?.doubles() == [2.4375] && swa.state["weight"]?.doubles() == [3])
        #expect(try swa.withAverage { net.weight.item() } == 3 && net.weight.item() == 6)
    }
}
