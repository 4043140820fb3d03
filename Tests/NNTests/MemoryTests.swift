import Autograd
import NN
import Operators
import TensorCore
import TestSupport
import Testing

private struct TwentyLayers {
    /// Twenty layers whose activations (128 KiB each) dwarf their weights (4 KiB each).
    private static let layers = 20
    private let model = withRandomSeed(0) {
        Sequential((0..<layers).map { _ in Sequential(Linear(32, 32), GELU()) })
    }
    private let x = Tensor.randn([1024, 32], seed: 1)

    /// Most bytes alive at once during `body`, beyond those alive before it.
    private func peak(_ body: () throws -> Void) rethrows -> Int {
        StorageStatistics.resetPeak()
        let before = StorageStatistics.liveBytes
        try body()
        return StorageStatistics.peakBytes - before
    }

    private func step(_ forward: (Tensor) throws -> Tensor) throws {
        let loss = try forward(x).square().mean()
        if loss.requiresGrad { try loss.backward() }
        model.zeroGrad()
    }

    /// Runs four layers at a time, keeping what is between them only.
    private func checkpointed(_ x: Tensor) throws -> Tensor {
        try stride(from: 0, to: Self.layers, by: 4).reduce(x) { input, first in
            try checkpoint { try (first..<first + 4).reduce(input) { try model[$1]($0) } }
        }
    }

    func comparePeaks() throws {
        try step(model.forward)
        let recording = try peak { try step(model.forward) }
        let checkpointing = try peak { try step(checkpointed) }
        let withoutGrad = try peak { try noGrad { try step(model.forward) } }
        try model.freeze()
        let frozen = try peak { try step(model.forward) }
        try model.unfreeze(matching: ["\(Self.layers - 1)"])
        let lastLayer = try peak { try step(model.forward) }

        let activation = x.array.byteCount
        print(
            "peak of recording \(recording / 1024) KiB; noGrad \(withoutGrad * 100 / recording) %, all frozen "
                + "\(frozen * 100 / recording) %, last layer unfrozen \(lastLayer * 100 / recording) %, checkpoints "
                + "\(checkpointing * 100 / recording) %")
        #expect(recording > 2 * Self.layers * activation)
        #expect(withoutGrad * 100 <= 15 * recording)
        #expect(frozen * 100 <= 15 * recording)
        #expect(lastLayer * 100 <= 20 * recording)
        #expect(checkpointing * 100 <= 40 * recording)
    }

    func compareGradients() throws {
        func gradients(_ forward: (Tensor) throws -> Tensor) throws -> [NDArray] {
            model.zeroGrad()
            try forward(x).square().mean().backward()
            return model.parameters().compactMap { $0.grad?.array }
        }
        let (plain, recomputed) = (try gradients(model.forward), try gradients(checkpointed))
        #expect(plain.count == 40)
        #expect(zip(plain, recomputed).allSatisfy { $0.isBitIdentical(to: $1) })
    }
}

/// What freezing, noGrad and checkpoints save, by the storage allocator's own count.
@Suite struct MemoryTests {
    @Test func peakOfATwentyLayerNet() async {
        // In a process of its own: the allocator counts for all tests that run at once.
        await #expect(processExitsWith: .success) { try TwentyLayers().comparePeaks() }
    }

    @Test func checkpointsGiveTheSameGradients() throws { try TwentyLayers().compareGradients() }
}
