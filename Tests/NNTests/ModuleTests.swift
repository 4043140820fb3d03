import Autograd
import NN
import Operators
import TensorCore
import TestSupport
import Testing

/// The ten lines of the documentation.
private final class Net: Module {
    let fc1 = Linear(4, 8)
    let fc2 = Linear(8, 2)
    override var members: Members { ["fc1": fc1, "fc2": fc2] }
    override func forward(_ x: Tensor) throws -> Tensor { try fc2(fc1(x).relu()) }
}

/// A block with parameters of its own, a buffer, and a module that appears twice.
private final class Block: Module {
    let scale = Parameter(NDArray([1, 2] as [Float]))
    let offset = Tensor(NDArray([3, 4] as [Float]))
    let steps = Buffer(NDArray(scalar: 0 as Int64))
    let norm = BatchNorm2d(2)
    let drop = Dropout(0.5, random: RandomSource(seed: 1))
    override var members: Members {
        ["norm": norm, "scale": scale, "steps": steps, "body": Sequential(norm, drop)]
    }
    override func forward(_ x: Tensor) throws -> Tensor { try norm(x) * scale.reshape(2, 1, 1) }
}

@Suite struct ModuleTests {
    @Test func aModuleOfYourOwnInTenLines() throws {
        let net = withRandomSeed(0) { Net() }
        let y = try net(Tensor.randn([3, 4], seed: 1))
        #expect(y.shape == [3, 2])
        try y.sum().backward()
        #expect(net.parameters().allSatisfy { $0.grad?.shape == $0.shape })
        net.zeroGrad()
        #expect(net.parameters().allSatisfy { $0.grad == nil })
    }

    @Test func aModuleWithoutForwardSaysSo() {
        #expect(throws: ModuleError.noForward(module: "Module")) { try Module()(Tensor(NDArray([1 as Float]))) }
    }

    @Test func namesAreDottedPathsInOrder() {
        let block = Block()
        #expect(block.namedParameters().map(\.name) == ["scale", "norm.weight", "norm.bias"])
        #expect(
            block.namedBuffers().map(\.name)
                == ["steps", "norm.running_mean", "norm.running_var", "norm.num_batches_tracked"])
        #expect(block.namedModules().map(\.path) == ["", "norm", "body", "body.1"])
        #expect(block["body.1"] === block.drop)
        #expect(block["body.2"] == nil)
        #expect(block.parameter("norm.weight") === block.norm.weight)
        block.scale.aliases = ["onnx::Mul_7"]
        #expect(block.parameter("onnx::Mul_7") === block.scale)
    }

    @Test func stateDictHasEveryPathOfASharedModule() {
        #expect(
            Block().stateDict().names.filter { $0.hasSuffix("weight") || $0.hasSuffix("mean") }
                == ["norm.weight", "norm.running_mean", "body.0.weight", "body.0.running_mean"])
    }

    @Test func descriptionIsPyTorchsTree() {
        let model = Sequential(named: [
            "conv": Conv2d(3, 8, kernelSize: 3, stride: 2, padding: 1, groups: 1, bias: false),
            "bn": BatchNorm2d(8),
            "body": Sequential(
                ReLU(), MaxPool2d(kernelSize: 2), LayerNorm([4, 4]), Dropout(), AdaptiveAvgPool2d(1), Flatten()),
            "fc": Linear(8, 2),
        ])
        #expect(
            "\(model)" == """
                Sequential(
                  (conv): Conv2d(3, 8, kernel_size=(3, 3), stride=(2, 2), padding=(1, 1), bias=False)
                  (bn): BatchNorm2d(8, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)
                  (body): Sequential(
                    (0): ReLU()
                    (1): MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)
                    (2): LayerNorm((4, 4), eps=1e-05, elementwise_affine=True)
                    (3): Dropout(p=0.5, inplace=False)
                    (4): AdaptiveAvgPool2d(output_size=1)
                    (5): Flatten(start_dim=1, end_dim=-1)
                  )
                  (fc): Linear(in_features=8, out_features=2, bias=True)
                )
                """)
    }

    @Test func stateDictIsACopy() throws {
        let net = Net()
        let state = net.stateDict()
        let before = net.fc1.weight.array
        try noGrad { try net.fc1.weight.mutate { $0.scaleInPlace(2) } }
        #expect(try #require(state["fc1.weight"]).isBitIdentical(to: before))
        #expect(!net.fc1.weight.array.isBitIdentical(to: before))
        try net.load(stateDict: state)
        #expect(net.fc1.weight.array.isBitIdentical(to: before))
        #expect(net.fc1.weight.requiresGrad)
    }

    @Test func loadListsEverythingThatDoesNotFit() throws {
        let net = Net()
        var state = net.stateDict()
        state["fc1.bias"] = nil
        state["fc3.bias"] = .zeros([1])
        #expect(
            throws: ModuleError.stateMismatch(missing: ["fc1.bias"], unexpected: ["fc3.bias"], different: [])
        ) { try net.load(stateDict: state) }
        let report = try net.load(stateDict: state, strict: false)
        #expect(report == Module.LoadReport(missing: ["fc1.bias"], unexpected: ["fc3.bias"]))

        let before = net.stateDict()
        state["fc1.weight"] = .zeros([8, 4])
        state["fc2.weight"] = .zeros([3, 8])
        state["fc2.bias"] = .zeros([2], dtype: .float64)
        #expect(
            throws: ModuleError.stateMismatch(
                missing: [], unexpected: [],
                different: [
                    "fc2.weight: expected [2, 8] of float32, got [3, 8] of float32",
                    "fc2.bias: expected [2] of float32, got [2] of float64",
                ])
        ) { try net.load(stateDict: state, strict: false) }
        #expect(try net.fc1.weight.array.isBitIdentical(to: #require(before["fc1.weight"])))
    }

    @Test func theSameSeedMakesTheSameWeights() {
        let (a, b, c) = (withRandomSeed(3) { Net() }, withRandomSeed(3) { Net() }, withRandomSeed(4) { Net() })
        #expect(zip(a.stateDict(), b.stateDict()).allSatisfy { $0.value.isBitIdentical(to: $1.value) })
        #expect(!a.fc1.weight.array.isBitIdentical(to: c.fc1.weight.array))
        #expect(!Net().fc1.weight.array.isBitIdentical(to: Net().fc1.weight.array))
    }

    @Test func linearAndConvBeginUniformWithinOneOverRootFanIn() {
        let linear = Linear(64, 100, random: RandomSource(seed: 0))
        let conv = Conv2d(4, 100, kernelSize: 4, groups: 1, random: RandomSource(seed: 0))
        for values in [linear.weight, linear.bias, conv.weight, conv.bias].compactMap({ $0?.array.doubles() }) {
            #expect(values.allSatisfy { abs($0) <= 0.125 })
            // The extremes of a hundred draws and the mean square of a uniform distribution, (1/8)²/3.
            #expect(values.max().map { $0 > 0.11 } == true && values.min().map { $0 < -0.11 } == true)
            let meanSquare = values.reduce(0) { $0 + $1 * $1 } / Double(values.count)
            #expect(abs(meanSquare * 192 - 1) < 0.3)
        }
    }
}
