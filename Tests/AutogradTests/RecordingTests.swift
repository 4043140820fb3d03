import Autograd
import Operators
import TensorCore
import TestSupport
import Testing

extension AutogradContract {
    /// Leaves, flags, `gradFn`, `backward()`, `grad`, in-place changes.
    @Suite struct TensorsAndRecording {
        private let values = [[3, 4], [7, 5]]

        @Test func aTensorFromNumbersRecordsNothing() {
            let t = Tensor(values)
            #expect(!t.requiresGrad)
            #expect(t.grad == nil)
            #expect(t.gradFn == nil)
            #expect(t.isLeaf)
            #expect(t.dtype == .float32)
            #expect("\(t)" == "tensor([[3., 4.],\n        [7., 5.]])")
        }

        @Test func requiresGradIsSetInPlace() throws {
            let t = Tensor(values)
            #expect(try t.requiresGrad_() === t)
            #expect(t.requiresGrad)
            #expect("\(t)" == "tensor([[3., 4.],\n        [7., 5.]], requires_grad=True)")
            #expect(try !t.requiresGrad_(false).requiresGrad)
        }

        @Test func integersCannotRequireGrad() {
            let t = Tensor([1, 2], dtype: .int64)
            let error = #expect(throws: AutogradError.self) { try t.requiresGrad_() }
            #expect("\(error.map { "\($0)" } ?? "")".contains("only floating-point tensors can require gradients"))
            #expect(throws: AutogradError.self) { try Tensor([true], dtype: .bool, requiresGrad: true) }
        }

        @Test func aResultRemembersItsOperation() {
            let t = Tensor(values, requiresGrad: true)
            let out = t * t
            #expect(out.requiresGrad)
            #expect(out.grad == nil)
            #expect(out.gradFn.map { "\($0)" } == "<MulBackward0>")
            #expect(!out.isLeaf)
            #expect(t.gradFn == nil)
        }

        @Test func gradFnLeadsBackToTheLeaf() throws {
            let t = Tensor(values, requiresGrad: true)
            let out = (t * t).mean()
            #expect("\(out)" == "tensor(24.7500, grad_fn=<MeanBackward0>)")
            let mean = try #require(out.gradFn)
            #expect(mean.nextFunctions.map { $0?.description } == ["<MulBackward0>"])
            guard case .node(let mul, let index)? = mean.nextFunctions[0] else {
                Issue.record("no operation")
                return
            }
            #expect(index == 0)
            #expect(mul.nextFunctions.map { $0?.description } == ["<AccumulateGrad>", "<AccumulateGrad>"])
            guard case .accumulateGrad(let leaf)? = mul.nextFunctions[0] else {
                Issue.record("no leaf")
                return
            }
            #expect(leaf === t)
        }

        @Test func backwardFillsGrad() throws {
            let t = Tensor(values, requiresGrad: true)
            let out = (t * t).mean()
            #expect(t.grad == nil)
            try out.backward()
            #expect(t.grad?.array(as: [[Float]].self) == [[1.5, 2.0], [3.5, 2.5]])
        }

        @Test func aSecondBackwardNeedsRetainGraph() throws {
            let x = Tensor([1, 2], requiresGrad: true)
            let y = (x * x).sum()
            try y.backward()
            #expect(throws: AutogradError.graphFreed(operation: "MulBackward0")) { try y.backward() }

            let again = Tensor([1, 2], requiresGrad: true)
            let sum = (again * again).sum()
            try sum.backward(retainGraph: true)
            try sum.backward()
            #expect(again.grad?.doubles() == [4, 8])
        }

        @Test func aFailedBackwardLeavesGradAlone() throws {
            let x = Tensor([1, 2], requiresGrad: true)
            let (shared, other) = (x.exp(), x * 3)
            let y = (shared * shared).sum() + other.sum()
            try shared.add_(1)
            #expect(throws: AutogradError.self) { try y.backward() }
            #expect(x.grad == nil)
        }

        @Test func aVectorNeedsAGradient() throws {
            let x = Tensor([1, 2, 3], requiresGrad: true)
            #expect(throws: AutogradError.gradientNeeded(shape: [3])) { try (x * 2).backward() }
            try (x * 2).backward(gradient: .ones(3))
            #expect(x.grad?.doubles() == [2, 2, 2])
            #expect(throws: AutogradError.self) { try (x * 2).backward(gradient: .ones(2)) }
            #expect(throws: AutogradError.self) { try (x * 2).backward(gradient: .ones(3, dtype: .float64)) }
        }

        @Test func nothingToDifferentiateIsAnError() {
            let error = #expect(throws: AutogradError.self) { try Tensor([1, 2]).sum().backward() }
            #expect("\(error.map { "\($0)" } ?? "")".contains("does not require grad and has no grad_fn"))
        }

        @Test func onlyLeavesGetAGradUnlessRetained() throws {
            let x = Tensor(2, requiresGrad: true)
            let plain = x * x
            try (3 * plain).backward()
            #expect(plain.grad == nil)
            let error = #expect(throws: AutogradError.self) { try plain.gradient() }
            #expect("\(error.map { "\($0)" } ?? "")".contains("call retainGrad() before backward()"))
            #expect(try x.gradient().item() == 12)
            #expect(throws: AutogradError.self) { try Tensor(1).gradient() }
            #expect(throws: AutogradError.self) { try Tensor(1, requiresGrad: true).gradient() }

            let z = Tensor(2, requiresGrad: true)
            let y = z * z
            try y.retainGrad()
            try (3 * y).backward()
            #expect(y.grad?.item() == 3)
            #expect(z.grad?.item() == 12)
            #expect(throws: AutogradError.self) { try Tensor(1).retainGrad() }
        }

        @Test func aRetainedGradientIsThatOfTheNewestValue() throws {
            let x = Tensor([1, 2], requiresGrad: true)
            let y = x * 3
            try y.retainGrad()
            try y.mul_(5)
            try (y * 2).sum().backward()
            #expect(y.grad?.doubles() == [2, 2])
            #expect(x.grad?.doubles() == [30, 30])
        }

        @Test func theFlagOfAResultCannotChange() {
            let y = Tensor([1, 2], requiresGrad: true) * 2
            let error = #expect(throws: AutogradError.self) { try y.requiresGrad_(false) }
            #expect("\(error.map { "\($0)" } ?? "")".contains("detach()"))
        }

        @Test func aFlagTurnedOffAfterRecordingIsAnError() throws {
            let x = Tensor([1, 2], requiresGrad: true)
            x.name = "weight"
            let y = (x * x).sum()
            try x.requiresGrad_(false)
            let error = #expect(throws: AutogradError.self) { try y.backward() }
            #expect("\(error.map { "\($0)" } ?? "")".contains("tensor 'weight' of shape [2] was turned off"))
        }

        /// What an input was when a graph was recorded is what it stays in that graph, as in adversarial training.
        @Test func aFlagTurnedOnAfterRecordingLeavesTheGraph() throws {
            let (x, w) = (Tensor([1, 2], requiresGrad: true), Tensor([3, 4]))
            let y = (x * w).sum()
            try w.requiresGrad_()
            try y.backward()
            #expect(x.grad?.array.doubles() == [3, 4] && w.grad == nil)
        }

        @Test func aRecordedLeafCannotBeChangedInPlace() throws {
            let x = Tensor([1, 2], requiresGrad: true)
            #expect(throws: AutogradError.self) { try x.add_(1) }
            #expect(throws: AutogradError.self) { try x.assign(Tensor(5), at: 0) }
            #expect(x.doubles() == [1, 2])
            try noGrad { _ = try x.sub_(Tensor([0.5, 0.5])) }
            #expect(x.doubles() == [0.5, 1.5])
            #expect(x.requiresGrad && x.isLeaf)
        }

        @Test func aChangedValueThatBackwardNeedsIsAnError() throws {
            let x = Tensor([1, 2], requiresGrad: true)
            let y = x.exp()
            try y.add_(1)
            let error = #expect(throws: AutogradError.self) { try y.sum().backward() }
            guard case .modifiedInPlace(let operation, _, let expected, let actual)? = error else {
                Issue.record("another error: \(String(describing: error))")
                return
            }
            #expect(operation == "ExpBackward0")
            #expect((expected, actual) == (0, 1))
        }

        @Test func inPlaceOperationsAreRecorded() throws {
            let x = Tensor([1, 2], requiresGrad: true)
            let y = x * 3
            try y.mul_(0.5).exp_()
            #expect(y.gradFn?.name == "ExpBackward0")
            #expect(y.version == 2)
            try y.sum().backward()
            let expected = Tensor([1.5, 3]).exp() * 1.5
            #expect(difference(try x.gradient().array, expected.array, rtol: 1e-6) == nil)
        }

        @Test func assigningASliceIsRecorded() throws {
            let (x, v) = (Tensor([1, 2, 3], requiresGrad: true), Tensor([10, 20], requiresGrad: true))
            let y = x * 2
            y[0..<2] = v * v
            #expect(y.doubles() == [100, 400, 6])
            #expect(y.gradFn?.name == "CopySlices")
            try y.sum().backward()
            #expect(x.grad?.doubles() == [0, 0, 2])
            #expect(v.grad?.doubles() == [20, 40])
        }

        @Test func detachSharesStorageAndVersion() throws {
            let x = Tensor([1, 2], requiresGrad: true)
            let y = x.exp()
            let sibling = y.detach()
            #expect(!sibling.requiresGrad && sibling.isLeaf)
            try sibling.zero_()
            #expect(y.doubles() == [0, 0])
            #expect(y.version == 1)
            #expect(throws: AutogradError.self) { try y.sum().backward() }
        }

        @Test func cloneIsNotReachedByInPlaceChanges() throws {
            let x = Tensor([1, 2], requiresGrad: true)
            let (y, copy) = (x * 1, x.clone())
            try y.zero_()
            #expect(copy.doubles() == [1, 2])
            try copy.sum().backward()
            #expect(x.grad?.doubles() == [1, 1])
        }

        @Test func onlyWhatWasAskedForGetsAGradient() throws {
            let (image, weight) = (Tensor([1, 2, 3], requiresGrad: true), Tensor([4, 5, 6], requiresGrad: true))
            try (image * weight).sum().backward()
            #expect(image.grad?.doubles() == [4, 5, 6])
            #expect(weight.grad?.doubles() == [1, 2, 3])
            let frozen = Tensor([4, 5, 6])
            let half = image * frozen
            #expect(savedBytes(behind: half) == 12)
            try half.sum().backward()
            #expect(frozen.grad == nil)
            // Both operands of a product, one of them for each gradient.
            #expect(savedBytes(behind: image * weight) == 24)
            #expect(savedBytes(behind: image + weight) == 0)
            #expect(savedBytes(behind: frozen * frozen) == 0)
        }

        @Test func aGradientIsNotSharedBetweenLeaves() throws {
            let (a, b) = (Tensor([1, 2], requiresGrad: true), Tensor([3, 4], requiresGrad: true))
            try (a + b).sum().backward()
            try a.grad?.mul_(10)
            #expect(b.grad?.doubles() == [1, 1])
        }

        @Test func norIsADifferentiableOne() throws {
            let (a, b) = (Tensor([1, 2], requiresGrad: true), Tensor([3, 4], requiresGrad: true))
            try (a + b).square().sum().backward(createGraph: true)
            try (a + b).sum().backward()
            #expect(a.grad?.doubles() == [9, 13] && b.grad?.doubles() == [9, 13])
        }

        @Test func aTensorUsedTwiceCollectsBoth() throws {
            let x = Tensor([1, 2], requiresGrad: true)
            let y = x * 2
            try (y * y + y).sum().backward()
            #expect(x.grad?.doubles() == [10, 18])
        }
    }
}
