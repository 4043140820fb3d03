import Autograd
import Foundation
import Operators
import TensorCore
import TestSupport
import Testing

/// Losses against their formulas, where the ONNX operators do not reach: smoothing, errors, single samples.
@Suite struct LossTests {
    /// -Σ q log p with q = 1 - ε for the label plus ε / C for every class, all times the class weight; by hand.
    private func expected(
        _ logits: [[Double]], _ labels: [Int], weight: [Double], smoothing: Double
    ) -> (losses: [Double], divisor: Double) {
        var losses: [Double] = []
        for (row, label) in zip(logits, labels) {
            let norm = log(row.map(exp).reduce(0, +))
            var loss = 0.0
            for (c, logit) in row.enumerated() {
                let target = (c == label ? 1 - smoothing : 0) + smoothing / Double(row.count)
                loss -= target * weight[c] * (logit - norm)
            }
            losses.append(label == -100 ? 0 : loss)
        }
        return (losses, labels.filter { $0 != -100 }.map { weight[$0] }.reduce(0, +))
    }

    @Test(arguments: [0, 0.1, 1])
    func smoothedCrossEntropyWithWeights(smoothing: Double) throws {
        let values = OperatorSample.values([4, 3])
        let rows = (0..<4).map { values.rows($0..<$0 + 1).doubles() }
        let (labels, weight) = ([2, -100, 0, 1], [0.5, 2.0, 1.25])
        let (losses, divisor) = expected(rows, labels, weight: weight, smoothing: smoothing)
        func actual(_ reduction: Reduction) throws -> [Double] {
            try crossEntropy(
                Tensor(values), labels: labels, weight: Tensor(NDArray(weight)), labelSmoothing: smoothing,
                reduction: reduction
            ).array.doubles()
        }
        for (a, b) in zip(try actual(.none), losses) { #expect(abs(a - b) < 1e-12) }
        #expect(abs(try actual(.sum)[0] - losses.reduce(0, +)) < 1e-12)
        #expect(abs(try actual(.mean)[0] - losses.reduce(0, +) / divisor) < 1e-12)
    }

    @Test(arguments: Reduction.allCases)
    func smoothedCrossEntropyGradients(reduction: Reduction) throws {
        let weight = Tensor(OperatorSample.values([3], in: 0.5...2))
        let count = try checkGradients([OperatorSample.values([2, 3, 2])]) { leaves in
            let labels = Tensor(NDArray([1, 0, -100, 2], shape: [2, 2]))
            return [
                try crossEntropy(leaves[0], labels: labels, weight: weight, labelSmoothing: 0.2, reduction: reduction)
            ]
        }
        #expect(count > 0)
    }

    @Test func gradientOfMeanCrossEntropyIsSoftmaxMinusTarget() throws {
        let logits = try Tensor(OperatorSample.values([2, 4]).converted(to: .float32), requiresGrad: true)
        let loss = try crossEntropy(logits, labels: [3, 1])
        #expect(loss.gradFn?.name == "NllLossBackward0")
        #expect(loss.gradFn?.nextFunctions[0]?.description == "<LogSoftmaxBackward0>")
        try loss.backward()
        var expected = try logits.array.softmax(axis: 1).elements(as: Float.self)
        expected[3] -= 1
        expected[4 + 1] -= 1
        let gradient = try #require(logits.grad)
        #expect(difference(gradient.array, NDArray(expected.map { $0 / 2 }, shape: [2, 4]), rtol: 1e-5) == nil)
    }

    @Test func oneSampleWithoutBatchAxis() throws {
        let logits = OperatorSample.values([4])
        let single = try crossEntropy(Tensor(logits), labels: Tensor(NDArray(scalar: 2)))
        let batch = try crossEntropy(Tensor(logits.reshaped([1, 4])), labels: [2])
        #expect(single.shape == [])
        #expect(abs(single.item() - batch.item()) < 1e-15)
    }

    @Test func labelsThatAreNoClassesAreNamed() throws {
        let logits = Tensor(OperatorSample.values([2, 3]))
        let error = #expect(throws: ShapeError.self) { try crossEntropy(logits, labels: [0, 3]) }
        #expect(error?.description == "nllLoss: label 3 of sample 1 is outside of 0..<3")
        #expect(throws: ShapeError.self) { try crossEntropy(logits, labels: [0]) }
        #expect(throws: ShapeError.self) { try crossEntropy(logits, labels: [0, 1], labelSmoothing: 1.5) }
        #expect(throws: ShapeError.self) { try mseLoss(logits, Tensor(OperatorSample.values([3, 2]))) }
    }

    @Test func meanSquaredError() throws {
        let (a, b) = (Tensor(NDArray([1.0, 2, 3])), Tensor(NDArray([1.0, 4, 0])))
        #expect(try mseLoss(a, b, reduction: .none).array.doubles() == [0, 4, 9])
        #expect(try mseLoss(a, b, reduction: .sum).item() == 13)
        #expect(abs(try mseLoss(a, b).item() - 13.0 / 3) < 1e-15)
        try checkGradients([a.array, b.array]) { [try mseLoss($0[0], $0[1])] }
    }
}
