import TensorCore

/// Fresh weights, as PyTorch's layers begin with.
public enum Initialization {
    /// Numbers evenly distributed in [`low`, `high`), drawn in row-major order. Source: `torch.nn.init.uniform_`.
    public static func uniform(
        _ shape: [Int], _ low: Double, _ high: Double, dtype: DType = .float32, using random: inout RandomSource
    ) -> NDArray {
        let values = (0..<elementCount(shape)).map { _ in random.uniform(low, high) }
        return NDArray(values, shape: shape).converted(to: dtype)
    }

    /// Uniform in ±√(6 / ((1 + a²) fanIn)) (He et al., 2015), where fanIn is the number of inputs that one output sums:
    /// the elements of `shape` after the first axis. Source: `torch.nn.init.kaiming_uniform_`.
    ///
    /// With a = √5, the default of Linear and Conv2d, the bound is 1 / √fanIn.
    public static func kaimingUniform(
        _ shape: [Int], a: Double = 5.0.squareRoot(), dtype: DType = .float32, using random: inout RandomSource
    ) -> NDArray {
        let bound = (6 / ((1 + a * a) * Double(max(1, fanIn(shape))))).squareRoot()
        return uniform(shape, -bound, bound, dtype: dtype, using: &random)
    }

    /// The bias that goes with a weight of `weightShape`: uniform in ±1 / √fanIn. Source: `torch.nn.Linear`.
    static func bias(weightShape: [Int], dtype: DType, using random: inout RandomSource) -> NDArray {
        let bound = 1 / Double(max(1, fanIn(weightShape))).squareRoot()
        return uniform([weightShape[0]], -bound, bound, dtype: dtype, using: &random)
    }

    private static func fanIn(_ shape: [Int]) -> Int { elementCount(Array(shape.dropFirst())) }
}
