import Autograd
import Operators
import TensorCore
import Testing

extension AutogradContract {
    /// `noGrad`, `enableGrad`, `setGradEnabled`, and the memory they save.
    @Suite struct GradModes {
        private struct Stop: Error {}

        @Test func noGradRecordsNothing() throws {
            let x = Tensor([1, 2], requiresGrad: true)
            let y = noGrad {
                #expect(x.requiresGrad)
                return x * x
            }
            #expect(!y.requiresGrad)
            #expect(y.gradFn == nil)
            #expect(x.requiresGrad)
            #expect((x * x).requiresGrad)
        }

        @Test func aLeafMadeInsideKeepsItsFlag() throws {
            let x = noGrad { Tensor([1, 2], requiresGrad: true) }
            #expect(x.requiresGrad)
            try (x * x).sum().backward()
            #expect(x.grad?.doubles() == [2, 4])
        }

        @Test func blocksNest() {
            let x = Tensor([1, 2], requiresGrad: true)
            noGrad {
                noGrad { #expect(!(x * 2).requiresGrad) }
                #expect(!(x * 2).requiresGrad)
                enableGrad { #expect((x * 2).requiresGrad) }
                #expect(!(x * 2).requiresGrad)
            }
            #expect((x * 2).requiresGrad)
        }

        @Test func blocksSurviveThrows() {
            #expect(throws: Stop.self) { try noGrad { throw Stop() } }
            #expect(GradMode.isEnabled)
            #expect((Tensor(1, requiresGrad: true) * 2).requiresGrad)
        }

        @Test func blocksSurviveAwait() async {
            await noGrad {
                await Task.yield()
                #expect(!GradMode.isEnabled)
                #expect(!(Tensor(1, requiresGrad: true) * 2).requiresGrad)
                await enableGrad {
                    await Task.yield()
                    #expect(GradMode.isEnabled)
                }
                #expect(!GradMode.isEnabled)
            }
            #expect(GradMode.isEnabled)
        }

        @Test func otherTasksAreNotAffected() async {
            let flags = await noGrad {
                // A detached task has a mode of its own, a child inherits.
                async let child = GradMode.isEnabled
                return await (Task.detached { GradMode.isEnabled }.value, child)
            }
            #expect(flags == (true, false))
        }

        @Test(arguments: [true, false]) func setGradEnabledIsTheTutorialsSwitch(isTraining: Bool) {
            let x = Tensor([1, 2], requiresGrad: true)
            let y = setGradEnabled(isTraining) { x * 2 }
            #expect(y.requiresGrad == isTraining)
            let opposite = noGrad { setGradEnabled(true) { x * 2 } }
            #expect(opposite.requiresGrad)
        }

        @Test func arraysCannotRecord() throws {
            // What runs on `NDArray` has no flag to set: the type has neither `requiresGrad` nor `gradFn`.
            let results = try Op.Mul().forward([NDArray([1.0, 2]), NDArray([3.0, 4])])
            #expect(results[0].doubles() == [3, 8])
        }

        /// 64 values of 4 MiB each, one after another: 8 of them are far from all of them.
        private func peak(_ x: Tensor) -> Int {
            // Other tests count too: the median of several measurements is this one's.
            let peaks = (0..<9).map { _ in
                StorageStatistics.resetPeak()
                let before = StorageStatistics.liveBytes
                var value = x
                for _ in 0..<64 { value = (value * 1.001).relu() }
                return StorageStatistics.peakBytes - before
            }
            return peaks.sorted()[4]
        }

        @Test func noIntermediateOutlivesItsLastUseUnderNoGrad() {
            let x = Tensor.ones(1 << 20)
            _ = try? x.requiresGrad_()
            let recorded = peak(x)
            let unrecorded = noGrad { peak(x) }
            #expect(recorded > 200 << 20)
            #expect(unrecorded < 32 << 20)
        }

        @Test func noIntermediateOutlivesItsLastUseWhenAllIsFrozen() {
            #expect(peak(Tensor.ones(1 << 20)) < 32 << 20)
        }
    }
}
