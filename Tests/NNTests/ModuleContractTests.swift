import Autograd
import NN
import Operators
import Optim
import TensorCore
import TestSupport
import Testing

/// The promises about modules, one test each.
@Suite struct ModuleContract {
    // MARK: Parameters

    @Test func parameterRequiresGradByDefaultAndAPlainTensorIsNoParameter() throws {
        let parameter = Parameter(NDArray([1, 2] as [Float]))
        #expect(parameter.requiresGrad && parameter.isLeaf)
        #expect("\(parameter)" == "Parameter containing:\ntensor([1., 2.], requires_grad=True)")
        #expect(!Parameter(NDArray([1, 2] as [Float]), requiresGrad: false).requiresGrad)

        final class Shift: Module {
            let weight = Parameter(NDArray([1, 2] as [Float]))
            let plain = Tensor(NDArray([3, 4] as [Float]))
            override var members: Members { ["weight": weight] }
            override func forward(_ x: Tensor) throws -> Tensor { x * weight + plain }
        }
        let module = Shift()
        try module.plain.requiresGrad_()
        #expect(module.parameters().count == 1)
        try module(Tensor(NDArray([1, 1] as [Float]))).sum().backward()
        #expect(module.plain.grad?.array.doubles() == [1, 1])
        try SGD(module.parameters(), learningRate: 1).step()
        #expect(module.plain.array.doubles() == [3, 4])
        #expect(module.weight.array.doubles() == [0, 1])
    }

    @Test func unfreezeTurnsOnExactlyTheMatchingOnesAndReportsHowMany() throws {
        let model = Sequential(named: ["conv": Conv2d(1, 2, kernelSize: 3), "fc": Linear(8, 2)])
        try model.freeze()
        #expect(model.parameters().allSatisfy { !$0.requiresGrad })
        let report = try model.unfreeze(matching: ["fc"])
        #expect(report.names == ["fc.weight", "fc.bias"])
        #expect("\(report)" == "2 of 4 tensors, 18 of 38 numbers")
        #expect(model.namedParameters().filter { $0.parameter.requiresGrad }.map(\.name) == report.names)

        try model.freeze()
        #expect(try model.unfreeze(matching: ["head"]).names == ["fc.weight", "fc.bias"])
        #expect(throws: ParameterPatternError.self) { try model.unfreeze(matching: ["conv", "fcc"]) }
        #expect(try !(#require(model.parameter("conv.weight")).requiresGrad))
        #expect(
            FreezingReport(names: [], elements: 1_234_567, totalTensors: 3, totalElements: 12_000_000).description
                == "0 of 3 tensors, 1,234,567 of 12,000,000 numbers")
    }

    // MARK: Modes

    @Test func trainAndEvalAreRecursiveAndNeverTouchRequiresGrad() throws {
        let model = Sequential(Linear(2, 2), Sequential(Dropout(), BatchNorm2d(2)))
        try model.freeze(matching: ["0"])
        let flags = model.parameters().map(\.requiresGrad)
        #expect(model.modules().allSatisfy { $0.isTraining })
        model.eval()
        #expect(model.modules().allSatisfy { !$0.isTraining })
        model.train()
        #expect(model.modules().allSatisfy { $0.isTraining })
        #expect(model.parameters().map(\.requiresGrad) == flags)
    }

    @Test func trainChangesDropoutAndBatchNormOnly() throws {
        let x = Tensor.randn([4, 2, 3, 3], seed: 5)
        let layers: [Module] = [
            Conv2d(2, 2, kernelSize: 3), ReLU(), Sigmoid(), Tanh(), GELU(), SiLU(), Hardswish(), Softmax(dim: 1),
            MaxPool2d(kernelSize: 2), AvgPool2d(kernelSize: 2), AdaptiveAvgPool2d(1), Flatten(), Identity(),
            LayerNorm([3, 3]), GroupNorm(1, 2), Linear(3, 4),
        ]
        for layer in layers {
            let (training, evaluating) = (try layer.train()(x), try layer.eval()(x))
            #expect(training.array.isBitIdentical(to: evaluating.array), "\(layer)")
        }
        for layer in [Dropout(), BatchNorm2d(2)] as [Module] {
            let (training, evaluating) = (try layer.train()(x), try layer.eval()(x))
            #expect(!training.array.isBitIdentical(to: evaluating.array), "\(layer)")
        }
    }

    @Test func dropoutZeroesScalesIsSeededAndIsIdentityInEval() throws {
        let x = Tensor.ones([100, 100])
        let make = { Dropout(0.25, random: RandomSource(seed: 9)) }
        let (dropout, twin) = (make(), make())
        let y = try dropout(x)
        let kept = y.array.doubles().filter { $0 != 0 }
        #expect(kept.allSatisfy { $0 == Double(Float(1 / 0.75)) })
        #expect(abs(Double(kept.count) / 10_000 - 0.75) < 0.02)
        #expect(try twin(x).array.isBitIdentical(to: y.array))
        #expect(try !(dropout(x).array.isBitIdentical(to: y.array)))
        #expect(try dropout.eval()(x) === x)
        #expect(try Dropout(1)(x).array.doubles().allSatisfy { $0 == 0 })
        #expect(try Dropout(0)(x) === x)

        // The gradient takes the path that the value took.
        let leaf = try Tensor(x.array, requiresGrad: true)
        let z = try dropout.train()(leaf)
        try z.sum().backward()
        #expect(try #require(leaf.grad).array.isBitIdentical(to: z.array))
    }

    @Test func batchNormTrainsOnBatchStatisticsAndEvaluatesOnRunningOnes() throws {
        // Two channels of values 0...3 and 10, 12, 14, 16: means 1.5 and 13, biased variances 1.25 and 5.
        let x = Tensor(NDArray([0, 1, 10, 12, 2, 3, 14, 16] as [Double], shape: [2, 2, 1, 2]))
        let norm = BatchNorm2d(2, epsilon: 0, dtype: .float64)
        let y = try norm(x)
        let expected = [-1.5, -0.5, -3, -1, 0.5, 1.5, 1, 3].enumerated().map { index, value in
            value / (index % 4 < 2 ? 1.25 : 5).squareRoot()
        }
        #expect(difference(y.array, NDArray(expected, shape: [2, 2, 1, 2]), rtol: 1e-12) == nil)
        // Unbiased variances 5/3 and 20/3 enter with momentum 0.1.
        #expect(difference(norm.runningMean.array, NDArray([0.15, 1.3]), rtol: 1e-12) == nil)
        #expect(difference(norm.runningVar.array, NDArray([0.9 + 0.5 / 3, 0.9 + 2.0 / 3]), rtol: 1e-12) == nil)
        #expect(norm.numBatchesTracked?.array.integers() == [1])

        norm.eval()
        let before = norm.stateDict()
        let z = try norm(x)
        let first = (0 - 0.15) / (0.9 + 0.5 / 3).squareRoot()
        #expect(abs(z.array.doubles()[0] - first) < 1e-12)
        #expect(zip(before, norm.stateDict()).allSatisfy { $0.value.isBitIdentical(to: $1.value) })
    }

    @Test func batchNormWithoutMomentumAveragesOverAllBatches() throws {
        let norm = BatchNorm2d(1, momentum: nil, dtype: .float64)
        for values in [[0.0, 2], [2, 6], [1, 3]] { _ = try norm(Tensor(NDArray(values, shape: [2, 1, 1, 1]))) }
        #expect(difference(norm.runningMean.array, NDArray([7.0 / 3]), rtol: 1e-12) == nil)
        #expect(difference(norm.runningVar.array, NDArray([4.0]), rtol: 1e-12) == nil)
    }

    @Test func freezingBatchNormDoesNotStopItsStatisticsButFrozenStatisticsDoes() throws {
        let x = Tensor.randn([4, 3, 2, 2], seed: 2)
        let norm = BatchNorm2d(3)
        try norm.freeze()
        _ = try norm(x)
        #expect(norm.runningMean.array.doubles() != [0, 0, 0])

        let frozen = BatchNorm2d(3)
        frozen.frozenStatistics = true
        let before = frozen.stateDict()
        let y = try frozen.train()(x)
        #expect(frozen.frozenStatistics && frozen.isTraining)
        #expect(zip(before, frozen.stateDict()).allSatisfy { $0.value.isBitIdentical(to: $1.value) })
        #expect(try y.array.isBitIdentical(to: frozen.eval()(x).array))
        try y.sum().backward()
        #expect(frozen.weight?.grad != nil)
    }

    @Test func aCheckpointMovesStatisticsAndDrawsNumbersOnce() throws {
        func run(checkpointed: Bool) throws -> (Sequential, [NDArray]) {
            let model = withRandomSeed(1) { Sequential(Conv2d(2, 3, kernelSize: 3), BatchNorm2d(3), Dropout(0.5)) }
            let x = Tensor.randn([4, 2, 5, 5], seed: 8)
            let y = checkpointed ? try checkpoint { try model(x) } : try model(x)
            try (y * y).sum().backward()
            return (model, model.parameters().compactMap { $0.grad?.array })
        }
        let (plain, gradients) = try run(checkpointed: false)
        let (checkpointed, same) = try run(checkpointed: true)
        #expect(gradients.count == 4)
        #expect(zip(gradients, same).allSatisfy { $0.isBitIdentical(to: $1) })
        #expect(zip(plain.stateDict(), checkpointed.stateDict()).allSatisfy { $0.value.isBitIdentical(to: $1.value) })
    }

    // MARK: Optimizers

    @Test func optimizerOverAnEmptyOrFrozenListIsAnError() throws {
        let model = Linear(2, 2)
        #expect(throws: OptimizerError.noParameters(optimizer: "SGD")) { try SGD([Parameter]()) }
        #expect(throws: OptimizerError.noParameters(optimizer: "AdamW")) { try AdamW([ParameterGroup]()) }
        try model.freeze()
        #expect(throws: OptimizerError.allFrozen(optimizer: "SGD", count: 2)) { try SGD(model.parameters()) }
        #expect(throws: OptimizerError.allFrozen(optimizer: "Adam", count: 2)) { try Adam(model.parameters()) }
    }

    @Test func aFrozenParameterIsBitIdenticalAfterAnyNumberOfSteps() throws {
        let x = Tensor.randn([6, 3], seed: 1)
        let makers: [([Parameter]) throws -> Optimizer] = [
            { try SGD($0, learningRate: 0.001, momentum: 0.9, weightDecay: 0.1) },
            { try AdamW($0, learningRate: 0.1, weightDecay: 0.5) },
        ]
        for make in makers {
            let model = withRandomSeed(7) { Sequential(Linear(3, 4), Linear(4, 4), Linear(4, 2)) }
            try model.freeze(matching: ["0"])
            let optimizer = try make(model.parameters())
            func steps(_ count: Int) throws {
                for _ in 0..<count {
                    optimizer.zeroGrad()
                    try (model(x) * model(x)).sum().backward()
                    // Not even a gradient left over moves it.
                    for parameter in model.parameters() where !parameter.requiresGrad {
                        parameter.grad = Tensor.ones(parameter.shape)
                    }
                    try optimizer.step()
                }
            }
            let first = model.stateDict()
            try steps(50)
            // A parameter frozen on the way keeps its value from then on, momentum and decay notwithstanding.
            try model.freeze(matching: ["1"])
            let second = model.stateDict()
            try steps(50)
            let last = model.stateDict()
            for name in ["0.weight", "0.bias"] {
                #expect(try #require(last[name]).isBitIdentical(to: #require(first[name])))
            }
            for name in ["1.weight", "1.bias"] {
                #expect(try !(#require(second[name]).isBitIdentical(to: #require(first[name]))))
                #expect(try #require(last[name]).isBitIdentical(to: #require(second[name])))
            }
            #expect(try !(#require(last["2.weight"]).isBitIdentical(to: #require(second["2.weight"]))))
        }
    }
}
