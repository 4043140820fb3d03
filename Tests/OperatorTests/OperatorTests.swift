import Autograd
import Operators
import TensorCore
import TestSupport
import Testing

/// Every operator's samples: its shape rule against what it computes, and its gradient against finite differences.
@Suite struct OperatorSamples {
    @Test(arguments: operatorNames)
    func shapeRuleMatchesForward(opType: String) throws {
        let type = try #require(OperatorRegistry.find(opType))
        for sample in try type.samples() {
            let inferred = try sample.op.infer(sample.inputs.map { $0.map { ValueInfo($0) } })
            let computed = try sample.op.forward(sample.inputs)
            #expect(inferred.map(\.shape) == computed.map(\.shape), "\(opType), \(sample.name)")
            #expect(inferred.map(\.dtype) == computed.map(\.dtype), "\(opType), \(sample.name)")
            let traced = try sample.op(sample.inputs.map { $0.map { Tensor($0) } })
            for (a, b) in zip(traced, computed) {
                #expect(difference(a.array, b, rtol: 0, atol: 0) == nil, "\(opType), \(sample.name)")
            }
        }
    }

    @Test(arguments: differentiableOperatorNames)
    func gradientsMatchFiniteDifferences(opType: String) throws {
        let type = try #require(OperatorRegistry.find(opType))
        let samples = try type.samples()
        #expect(!samples.isEmpty, "\(opType) has no samples")
        for sample in samples where !sample.differentiable.isEmpty {
            let variables = sample.differentiable.compactMap { sample.inputs[$0] }
            do {
                let count = try checkGradients(variables, order: sample.order) { leaves in
                    var inputs = sample.inputs.map { $0.map { Tensor($0) } }
                    for (leaf, position) in zip(leaves, sample.differentiable) { inputs[position] = leaf }
                    return try sample.op(inputs)
                }
                print("gradients \(opType), \(sample.name): \(count) partial derivatives")
            } catch {
                Issue.record("\(opType), \(sample.name): \(error)")
            }
        }
    }
}

// Closures, not key paths: Swift 6.3 crashes on key paths into existential metatypes.
private let operatorNames = OperatorRegistry.all.map { $0.fullName }
private let differentiableOperatorNames = OperatorRegistry.all.filter { $0.isDifferentiable }.map { $0.fullName }
