import TensorCore

/// Compares the gradients of `function` with central finite differences.
///
/// For each input x and a fixed random direction v over the outputs, checks ∂(v · f(x))/∂xᵢ against
/// (v · f(x + h eᵢ) − v · f(x − h eᵢ)) / 2h; with `order` 2 also the gradient of that gradient. Inputs must be `float64`
/// and away from kinks.
///
/// - Returns: the number of partial derivatives compared.
/// - Throws: `gradientCheckFailed` naming the input, the element and both values.
///
/// Source: `torch.autograd.gradcheck`, `gradgradcheck`.
@discardableResult
public func checkGradients(
    _ inputs: [NDArray], order: Int = 2, step: Double = 1e-6, relativeTolerance: Double = 1e-5,
    absoluteTolerance: Double = 1e-7, _ function: ([Tensor]) throws -> [Tensor]
) throws -> Int {
    for (index, input) in inputs.enumerated() where input.dtype != .float64 {
        throw AutogradError.gradientCheckFailed(
            "checkGradients: input \(index) is \(input.dtype); finite differences need float64")
    }
    let check = FiniteDifferenceCheck(
        step: step, relativeTolerance: relativeTolerance, absoluteTolerance: absoluteTolerance)
    var compared = try check.run(inputs, label: "gradient", function)
    guard order >= 2 else { return compared }

    // The gradient itself, as a function of the inputs and of the directions over the outputs.
    let probe = try noGrad { try function(inputs.map { Tensor($0) }) }
    let directions = probe.enumerated().map { check.direction(shape: $1.shape, seed: 77 + $0) }
    compared += try check.run(inputs + directions, label: "second-order gradient") { leaves in
        let variables = Array(leaves.prefix(inputs.count))
        let outputs = try function(variables)
        let differentiable = outputs.indices.filter { outputs[$0].requiresGrad }
        let gradients = try grad(
            of: differentiable.map { outputs[$0] }, wrt: variables,
            gradOutputs: differentiable.map { leaves[inputs.count + $0] }, createGraph: true, allowUnused: true)
        return gradients.compactMap { $0 }
    }
    return compared
}

private struct FiniteDifferenceCheck {
    let step: Double
    let relativeTolerance: Double
    let absoluteTolerance: Double

    /// Fixed values in 0.5 ..< 1.5 from a small congruential generator: no direction may be near zero.
    func direction(shape: [Int], seed: Int) -> NDArray {
        var state = UInt64(truncatingIfNeeded: seed) &* 0x9E37_79B9_7F4A_7C15 | 1
        let values = (0..<elementCount(shape)).map { _ -> Double in
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return 0.5 + Double(state >> 33) / Double(1 << 31)
        }
        return NDArray(values, shape: shape)
    }

    func run(_ inputs: [NDArray], label: String, _ function: ([Tensor]) throws -> [Tensor]) throws -> Int {
        let leaves = try inputs.map { try Tensor($0, requiresGrad: true) }
        let outputs = try enableGrad { try function(leaves) }
        let used = outputs.indices.filter { outputs[$0].requiresGrad }
        let directions = outputs.enumerated().map { direction(shape: $1.shape, seed: $0 + 1) }
        guard !used.isEmpty else { return 0 }
        let analytic = try grad(
            of: used.map { outputs[$0] }, wrt: leaves, gradOutputs: used.map { Tensor(directions[$0]) },
            allowUnused: true)

        func projected(_ values: [NDArray]) throws -> Double {
            let results = try enableGrad { try function(values.map { try Tensor($0, requiresGrad: true) }) }
            var sum = 0.0
            for index in used {
                for (a, b) in zip(results[index].array.doubles(), directions[index].doubles()) { sum += a * b }
            }
            return sum
        }
        var compared = 0
        for (position, input) in inputs.enumerated() {
            let expected = analytic[position]?.array.doubles() ?? [Double](repeating: 0, count: input.count)
            for element in 0..<input.count {
                let numeric = try difference(inputs, position, element, projected)
                let error = abs(numeric - expected[element])
                guard error <= absoluteTolerance + relativeTolerance * max(abs(numeric), abs(expected[element])) else {
                    throw AutogradError.gradientCheckFailed(
                        "\(label) by input \(position), element \(element): finite differences give \(numeric), "
                            + "the vjp gives \(expected[element])")
                }
                compared += 1
            }
        }
        return compared
    }

    private func difference(
        _ inputs: [NDArray], _ position: Int, _ element: Int, _ projected: ([NDArray]) throws -> Double
    ) throws -> Double {
        var shifted = inputs
        var values: [Double] = []
        let origin = inputs[position].withElements(as: Double.self) { $0[element] }
        let h = step * max(1, abs(origin))
        for sign in [1.0, -1.0] {
            shifted[position].withMutableElements(as: Double.self) { $0[element] = origin + sign * h }
            values.append(try projected(shifted))
        }
        return (values[0] - values[1]) / (2 * h)
    }
}
