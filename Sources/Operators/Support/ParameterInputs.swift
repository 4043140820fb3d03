// Which inputs of an operator hold a layer's parameters and buffers, in one place because the graph asks all of them the
// same question.
import TensorCore

extension Op.Conv {
    public static var parameterInputs: [Int: String] { [1: "weight", 2: "bias"] }
}
extension Op.ConvTranspose {
    public static var parameterInputs: [Int: String] { [1: "weight", 2: "bias"] }
}
extension Op.Gemm {
    public static var parameterInputs: [Int: String] { [1: "weight", 2: "bias"] }
}
extension Op.MatMul {
    public static var parameterInputs: [Int: String] { [1: "weight"] }
}
extension Op.BatchNormalization {
    public static var parameterInputs: [Int: String] { [1: "weight", 2: "bias"] }
    public static var bufferInputs: [Int: String] { [3: "running_mean", 4: "running_var"] }
}
extension Op.LayerNormalization {
    public static var parameterInputs: [Int: String] { [1: "weight", 2: "bias"] }
}
extension Op.InstanceNormalization {
    public static var parameterInputs: [Int: String] { [1: "weight", 2: "bias"] }
}
extension Op.GroupNormalization {
    public static var parameterInputs: [Int: String] { [1: "weight", 2: "bias"] }
}
extension Op.PRelu {
    public static var parameterInputs: [Int: String] { [1: "weight"] }
}

extension Op.Conv {
    /// The windows over `weight`, or nil when they depend on the size of the input (`auto_pad` SAME).
    public func fixedGeometry(weight: [Int]) -> ConvolutionGeometry? {
        guard window.autoPad == .notSet || window.autoPad == .valid, weight.count >= 3, weight[1] <= 1 << 32 else {
            return nil
        }
        // Large enough for any window; only the sizes of the output depend on it.
        let input = [1, weight[1] * groups] + [Int](repeating: 1 << 20, count: weight.count - 2)
        return try? geometry(input: input, weight: weight)
    }
}
