import Autograd
import NN
import Operators
import Optim
import TensorCore
import TestSupport
import Testing

/// Grad mode is a task's own, and models of several tasks share nothing; `scripts/sanitize-threads` runs these under the
/// thread sanitizer.
@Suite struct ConcurrencyTests {
    @Test func gradModeBelongsToItsTask() async throws {
        let recorded = await withTaskGroup(of: (Int, Bool).self) { group in
            for task in 0..<16 {
                group.addTask {
                    let x = Tensor([1.0], requiresGrad: true)
                    return await setGradEnabled(task % 2 == 0) {
                        for _ in 0..<100 {
                            await Task.yield()
                            guard (x * x).requiresGrad == (task % 2 == 0) else { return (task, task % 2 != 0) }
                            let inverted = await setGradEnabled(task % 2 != 0) {
                                await Task.yield()
                                return (x * x).requiresGrad
                            }
                            guard inverted == (task % 2 != 0) else { return (task, task % 2 != 0) }
                        }
                        return (task, (x * x).requiresGrad)
                    }
                }
            }
            return await group.reduce(into: [Int: Bool]()) { $0[$1.0] = $1.1 }
        }
        #expect(recorded.count == 16)
        #expect(recorded.allSatisfy { task, recorded in recorded == (task % 2 == 0) })
        #expect(GradMode.isEnabled)
    }

    @Test func modelsTrainedAtOnceEqualOnesTrainedAlone() async throws {
        @Sendable func train(seed: UInt64) throws -> StateDict {
            let model = withRandomSeed(seed) {
                Sequential(
                    Conv2d(3, 8, kernelSize: 3, padding: 1), BatchNorm2d(8), ReLU(), Dropout(0.2),
                    AdaptiveAvgPool2d(1), Flatten(), Linear(8, 4))
            }
            let x = Tensor.randn([4, 3, 16, 16], seed: seed)
            let optimizer = try SGD(model.parameters(), learningRate: 0.1, momentum: 0.9)
            for _ in 0..<5 {
                optimizer.zeroGrad()
                try CrossEntropyLoss()(model(x), [0, 1, 2, 3]).backward()
                try optimizer.step()
                try noGrad { _ = try model(x) }
            }
            return model.stateDict()
        }
        let alone = try (0..<8).map { try train(seed: $0) }
        let together = try await withThrowingTaskGroup(of: (Int, StateDict).self) { group in
            for seed in 0..<8 { group.addTask { (seed, try train(seed: UInt64(seed))) } }
            return try await group.reduce(into: [Int: StateDict]()) { $0[$1.0] = $1.1 }
        }
        for (seed, state) in alone.enumerated() {
            let other = try #require(together[seed])
            #expect(zip(state, other).allSatisfy { $0.value.isBitIdentical(to: $1.value) }, "seed \(seed)")
        }
    }
}
