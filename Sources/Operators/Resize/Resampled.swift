import Autograd
import TensorCore

/// Resampling of one axis after the other.
struct Resampled: LinearMap {
    let steps: [(axis: Int, plan: AxisResampling)]
    var name: String { "Upsample" }

    func apply(_ x: NDArray) throws -> NDArray {
        try steps.reduce(x) { x, step in
            try step.plan.isSelection
                ? x.gathered(NDArray(step.plan.positions), axis: step.axis) : x.resampled(step.plan, axis: step.axis)
        }
    }

    func applyAdjoint(_ gradOutput: NDArray, inputShape: [Int]) throws -> NDArray {
        try steps.reversed().reduce(gradOutput) { try $0.resampledAdjoint($1.plan, axis: $1.axis) }
    }
}

extension ResizeCoordinates {
    /// `x` with every axis resized; where cropping leaves the old elements, `extrapolation`.
    func resize(_ x: Tensor, _ axes: [Axis], extrapolation: Double) throws -> Tensor {
        let target = axes.map(\.newSize)
        if x.count == 0 || target.contains(0) { return .zeros(target, dtype: x.dtype) }
        // Axes that shrink go first: less is left to do for the others.
        let order = axes.indices.sorted { axes[$0].scale < axes[$1].scale }
        let steps = order.compactMap { axis in resampling(axes[axis]).map { (axis: axis, plan: $0) } }
        let isExact = x.dtype.isFloatingPoint || steps.allSatisfy { $0.plan.isSelection }
        var y = try (isExact ? x : x.to(.float64)).mapped(Resampled(steps: steps)).to(x.dtype)
        guard transform == .cropAndResize else { return y }
        for (axis, settings) in axes.enumerated() {
            let outside = isOutside(settings)
            guard outside.contains(true) else { continue }
            var shape = [Int](repeating: 1, count: axes.count)
            shape[axis] = outside.count
            let mask = Tensor(NDArray(outside, shape: shape))
            y = try apply(Op.Where(), mask, Tensor.literal(extrapolation, dtype: y.dtype), y)
        }
        return y
    }
}
