import Autograd
import TensorCore

extension CompositeOperator {
    /// Shape and type of an elementwise function of several broadcast operands: `Max`, `Min`, `Sum`, `Mean`.
    func variadicInfo(_ inputs: [ValueInfo?]) throws -> ValueInfo {
        try inputs.compactMap { $0 }.dropFirst().reduce(required(inputs, 0, "data_0")) { total, next in
            guard total.dtype == next.dtype else {
                throw failure("operands have different types, \(total.dtype) and \(next.dtype)")
            }
            guard let shape = broadcastShape(total.shape, next.shape) else {
                throw failure("shapes \(total.shape) and \(next.shape) do not broadcast")
            }
            return ValueInfo(total.dtype, shape)
        }
    }

    /// Samples of `Max` and `Min`.
    static func extremeSamples(_ make: @autoclosure () -> Self) -> [OperatorSample] {
        let (x, y) = (OperatorSample.values([2, 3]), OperatorSample.values([2, 3], in: -1.9...2.2, seed: 1))
        let ties = NDArray([1.0, 2, 3, 4, 5, 6], shape: [2, 3])
        return [
            OperatorSample("one", make(), [x], differentiable: [0]),
            OperatorSample("two", make(), [x, y], differentiable: [0, 1]),
            OperatorSample(
                "three, broadcast", make(), [x, y.rows(0..<1), NDArray(scalar: 0.1)], differentiable: [0, 1, 2]),
            OperatorSample("ties", make(), [ties, NDArray([1.0, 5, 3])], differentiable: [0, 1], order: 1),
            OperatorSample("integers", make(), [NDArray([1, 5]), NDArray([3, 2])], differentiable: []),
        ]
    }
}

/// The larger or smaller of two broadcast operands; equal ones share the gradient, and beside NaN each has all of it.
private struct Extreme: DifferentiableFunction {
    let isLarger: Bool
    var name: String { isLarger ? "Maximum" : "Minimum" }

    func forward(_ inputs: [NDArray?]) throws -> [NDArray] {
        guard let a = inputs[0], let b = inputs[1] else { return [] }
        return [try NDArray.binary(isLarger ? .max : .min, a, b)]
    }

    func saved(for needs: IndexSet64) -> SavedValues { SavedValues(inputs: [0, 1]) }

    func vjp(_ gradOutputs: [Tensor?], _ context: VJPContext) throws -> [Tensor?] {
        guard let g = gradOutputs[0] else { return [nil, nil] }
        let (a, b) = (try context.input(0).array, try context.input(1).array)
        let half = try NDArray.binary(
            .mul, NDArray.compare(.equal, a, b).converted(to: a.dtype), NDArray(scalar: 0.5, dtype: a.dtype))
        func share(_ loses: Comparison, _ index: Int) throws -> Tensor {
            let lost = try NDArray.compare(loses, a, b).converted(to: a.dtype)
            return try (g * (1 - Tensor(NDArray.binary(.add, lost, half)))).summed(to: context.inputShape(index))
        }
        return [
            context.needs(0) ? try share(isLarger ? .less : .greater, 0) : nil,
            context.needs(1) ? try share(isLarger ? .greater : .less, 1) : nil,
        ]
    }
}

extension Tensor {
    func extreme(_ other: Tensor, isLarger: Bool) throws -> Tensor {
        try apply(Extreme(isLarger: isLarger), self, other)
    }
}
