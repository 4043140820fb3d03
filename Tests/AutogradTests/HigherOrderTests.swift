import Autograd
import Operators
import TensorCore
import TestSupport
import Testing

extension AutogradContract {
    /// Derivatives of derivatives, gradient checks, checkpoints, hooks, and looking at the recorded graph.
    @Suite struct HigherOrder {
        /// 24x², 8x³ and 2x⁴, one inside the other.
        private func chain(_ x: Tensor) -> Tensor { 2 * (8 * (24 * x ** 2) ** 3) ** 4 }

        @Test func derivativesOfTheChainToOrderFour() throws {
            let expected = [6.023182e28, 6.926659e29, 7.619325e30, 8.000291e31]
            let x = Tensor(2, requiresGrad: true)
            var y = chain(x)
            for (order, value) in expected.enumerated() {
                y = try grad(of: y, wrt: x, createGraph: true)
                let error = abs(y.item() - value) / value
                #expect(error < 1e-5, "order \(order + 1): \(y.item())")
            }
            #expect(x.grad == nil)
        }

        @Test func gradTouchesNoGradField() throws {
            let (x, w) = (Tensor([1, 2], requiresGrad: true), Tensor([3, 4], requiresGrad: true))
            let gradient = try grad(of: (x * x * w).sum(), wrt: x)
            #expect(gradient.doubles() == [6, 16])
            #expect(!gradient.requiresGrad)
            #expect(x.grad == nil && w.grad == nil)
        }

        @Test func gradOfAnUnusedTensor() throws {
            let (x, w) = (Tensor(1, requiresGrad: true), Tensor(1, requiresGrad: true))
            #expect(throws: AutogradError.self) { try grad(of: [x * 2], wrt: [w]) }
            let gradients = try grad(of: [x * 2], wrt: [x, w], allowUnused: true)
            #expect(gradients[0]?.item() == 2)
            #expect(gradients[1] == nil)
        }

        @Test func gradByANonLeaf() throws {
            let x = Tensor([1, 2], requiresGrad: true)
            let y = x * x
            let gradients = try grad(of: [(y * y).sum()], wrt: [y, x])
            #expect(gradients[0]?.doubles() == [2, 8])
            #expect(gradients[1]?.doubles() == [4, 32])
        }

        @Test func gradOfTheSameTensorGivenTwice() throws {
            let x = Tensor([1, 2], requiresGrad: true)
            let y = x * 3
            let copies = try grad(of: [y, y.sum()], wrt: [x, x], gradOutputs: [.ones(2), nil])
            #expect(copies.map { $0?.doubles() } == [[6, 6], [6, 6]])
        }

        @Test func backwardThroughAGradient() throws {
            let x = Tensor([1, 2], requiresGrad: true)
            let gradient = try grad(of: (x ** 3).sum(), wrt: x, createGraph: true)
            try gradient.sum().backward()
            #expect(x.grad?.doubles() == [6, 12])
        }

        @Test func checkGradientsAcceptsARightRule() throws {
            let x = NDArray([0.5, 1.5, -0.7], shape: [3])
            let count = try checkGradients([x]) { [($0[0] * $0[0]).exp()] }
            #expect(count == 9)
        }

        @Test func checkGradientsRejectsAWrongRule() {
            let x = NDArray([0.5, 1.5, -0.7], shape: [3])
            let first = #expect(throws: AutogradError.self) {
                try checkGradients([x]) { [try apply(WrongSquare(), $0[0])] }
            }
            #expect("\(first.map { "\($0)" } ?? "")".contains("gradient by input 0, element 0"))
            // Right at first order, but not differentiable.
            let second = #expect(throws: AutogradError.self) {
                try checkGradients([x]) { [try apply(ConstantSlope(), $0[0])] }
            }
            #expect("\(second.map { "\($0)" } ?? "")".contains("second-order gradient"))
        }

        @Test func checkGradientsNeedsFloat64() {
            #expect(throws: AutogradError.self) { try checkGradients([NDArray([Float(1)])]) { $0 } }
        }

        @Test func theRecordedGraphCanBeDrawn() {
            let (x, w) = (Tensor([[1, 2]], requiresGrad: true), Tensor([[3, 4]]))
            (x.name, w.name) = ("input \"a\"", "layer1.weight")
            let drawing = dot(of: (x * w).sum())
            #expect(drawing.hasPrefix("digraph recorded {"))
            #expect(drawing.contains("MulBackward0\\n[1, 2]"))
            #expect(drawing.contains("SumBackward0\\n[]"))
            #expect(drawing.contains("label=\"input \\\"a\\\"\\n[1, 2] requires grad\""))
            #expect(drawing.contains("layer1.weight") && drawing.contains("frozen") && drawing.contains("style=dashed"))
            #expect(drawing.split(separator: " -> ").count == 4)
            #expect(dot(of: w) == dot(of: Tensor(1)))
        }

        /// A few layers with captured weights, run twice over.
        private func network(_ x: Tensor, _ w: [Tensor]) -> Tensor {
            w.reduce(x) { value, weight in ((value * weight).exp() - 1).abs().sqrt() * value }
        }

        @Test func checkpointGivesTheSameBits() throws {
            func gradients(_ run: (Tensor, [Tensor]) throws -> Tensor) throws -> [NDArray] {
                let x = try Tensor.randn(64, seed: 1).requiresGrad_()
                let weights = try (2..<6).map { try Tensor.rand(64, seed: $0).requiresGrad_() }
                try run(x * 1.5, weights).square().sum().backward()
                return ([x] + weights).compactMap { $0.grad?.array }
            }
            let plain = try gradients { network($0, $1) }
            let checkpointed = try gradients { x, w in try checkpoint { self.network(x, w) } }
            #expect(plain.count == 5 && checkpointed.count == 5)
            for (a, b) in zip(plain, checkpointed) { #expect(a.isBitIdentical(to: b)) }
        }

        @Test func checkpointLowersThePeak() throws {
            func peak(_ run: (Tensor) throws -> Tensor) throws -> Int {
                let x = try Tensor.ones(1 << 20).requiresGrad_()
                StorageStatistics.resetPeak()
                let before = StorageStatistics.liveBytes
                try (0..<8).reduce(x) { value, _ in try run(value) }.sum().backward()
                return StorageStatistics.peakBytes - before
            }
            func block(_ x: Tensor) -> Tensor { (0..<8).reduce(x) { value, _ in (value * 0.9).sin() } }
            let plain = try peak { block($0) }
            let checkpointed = try peak { x in try checkpoint { block(x) } }
            #expect(Double(checkpointed) < 0.5 * Double(plain), "\(checkpointed) and \(plain) bytes")
        }

        @Test func checkpointRefusesWorkThatChanges() throws {
            let x = Tensor([1, 2], requiresGrad: true)
            var runs = 0
            let y = try checkpoint {
                runs += 1
                return runs == 1 ? x.exp() : x.exp().exp()
            }
            #expect(throws: AutogradError.checkpointDiverged(expected: 1, actual: 2)) { try y.sum().backward() }
        }

        @Test func checkpointNoticesACapturedLeafThatChanged() throws {
            let (x, w) = (Tensor([1, 2], requiresGrad: true), Tensor([3, 4], requiresGrad: true))
            let y = try checkpoint { x * w }
            try noGrad { _ = try w.mul_(2) }
            #expect(throws: AutogradError.self) { try y.sum().backward() }
        }

        @Test func checkpointsCanBeDifferentiatedTwice() throws {
            let x = Tensor([1, 2], requiresGrad: true)
            let y = try checkpoint { x * x * x }
            let gradient = try grad(of: y.sum(), wrt: x, createGraph: true)
            #expect(try grad(of: gradient.sum(), wrt: x).doubles() == [6, 12])
        }

        @Test func hooksObserveAndReplaceGradients() throws {
            let x = Tensor([1, 2], requiresGrad: true)
            let y = x * x
            var seen: [[Double]] = []
            try y.registerHook { gradient in
                seen.append(gradient.doubles())
                return gradient * 10
            }
            let handle = try x.registerHook { gradient in
                seen.append(gradient.doubles())
                return nil
            }
            try (y * 3).sum().backward(retainGraph: true)
            #expect(seen == [[3, 3], [60, 120]])
            #expect(x.grad?.doubles() == [60, 120])
            handle.remove()
            try (y * 3).sum().backward()
            #expect(seen.count == 3)
            #expect(throws: AutogradError.self) { try Tensor(1).registerHook { $0 } }
        }

        @Test func aLeafAskedForTwiceHasItsHookRunOnce() throws {
            let x = Tensor([1, 2], requiresGrad: true)
            try x.registerHook { $0 * 10 }
            let gradients = try grad(of: [(x * 3).sum()], wrt: [x, x])
            #expect(gradients.map { $0?.doubles() } == [[30, 30], [30, 30]])
        }

        @Test func aHookMayDifferentiateTheGraphItBelongsTo() throws {
            let x = Tensor([1, 2], requiresGrad: true)
            let y = x * x
            let (left, right, total) = (y * 2, y * 3, y.sum())
            var inner: [Double] = []
            // Runs while the gradient from `right` waits at y.
            try left.registerHook { _ in
                inner = try grad(of: [total], wrt: [x], retainGraph: true)[0]?.doubles() ?? []
                return nil
            }
            try (left + right).sum().backward()
            #expect(inner == [2, 4])
            #expect(x.grad?.doubles() == [10, 20])
        }

        @Test func aHookCannotChangeTheShape() throws {
            let x = Tensor([1, 2], requiresGrad: true)
            try x.registerHook { _ in Tensor([1, 2, 3]) }
            #expect(throws: AutogradError.self) { try (x * 2).sum().backward() }
        }
    }

    /// Long and wide graphs.
    @Suite struct Scale {
        @Test func aChainOfAMillionOperations() throws {
            let x = Tensor(1.0, dtype: .float64)
            try x.requiresGrad_()
            var y: Tensor? = x
            for _ in 0..<500_000 { y = y.map { $0 * 0.999999 + 0.000001 } }
            try y?.backward()
            let slope = try #require(x.grad?.item())
            #expect(abs(slope - 0.6065305) < 1e-6)
            // The graph of another one is released without a backward pass.
            y = nil
            for _ in 0..<500_000 { y = (y ?? x) * 0.999999 + 0.000001 }
            y = nil
            // As is one that a tensor saved inside it keeps alive.
            var z = x
            for _ in 0..<500_000 { z = z * z }
        }

        @Test func differentiatingALongChainTwice() throws {
            let x = Tensor(1.0, dtype: .float64)
            try x.requiresGrad_()
            var y = x
            for _ in 0..<20_000 { y = y * x }
            let first = try grad(of: y, wrt: x, createGraph: true)
            let second = try grad(of: first, wrt: x)
            #expect(first.item() == 20_001)
            #expect(second.item() == 20_001 * 20_000)
        }

        @Test func aFanOfManyUsers() throws {
            let x = Tensor([1, 2], requiresGrad: true)
            var sum = x
            for _ in 0..<10_000 { sum = sum + x }
            try sum.sum().backward()
            #expect(x.grad?.doubles() == [10_001, 10_001])
        }
    }
}

/// x² with a wrong gradient.
private struct WrongSquare: DifferentiableFunction {
    let name = "WrongSquare"
    func forward(_ inputs: [NDArray?]) throws -> [NDArray] { try inputs.compactMap { try $0?.map(.square) } }
    func saved(for needs: IndexSet64) -> SavedValues { SavedValues(inputs: 0) }
    func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
        [try gradOutputs[0].map { try $0 * context.input(0) }]
    }
}

/// x² whose gradient forgets that it depends on x.
private struct ConstantSlope: DifferentiableFunction {
    let name = "ConstantSlope"
    func forward(_ inputs: [NDArray?]) throws -> [NDArray] { try inputs.compactMap { try $0?.map(.square) } }
    func saved(for needs: IndexSet64) -> SavedValues { SavedValues(inputs: 0) }
    func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
        [try gradOutputs[0].map { try $0 * (context.input(0) * 2).detach() }]
    }
}
