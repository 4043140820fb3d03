import CKernels

extension NDArray {
    /// `gradOutput` where `output` > 0, else 0: the gradient of relu from its output.
    public static func reluGradient(_ gradOutput: NDArray, output: NDArray) throws -> NDArray {
        guard gradOutput.shape == output.shape, gradOutput.dtype == output.dtype else {
            throw ShapeError("relu gradient", "expected equal operands, got \(gradOutput.shape) and \(output.shape)")
        }
        try requireFloat(output, "relu gradient")
        return produce(output.shape, output.dtype) { target in
            gradOutput.read { g in
                output.read { y in
                    parallelRange(output.count, grain: serialElements) { begin, end in
                        if output.dtype == .float32 {
                            ft_relu_gradient_f32(g.floats + begin, y.floats + begin, target.floats + begin, end - begin)
                        } else {
                            ft_relu_gradient_f64(
                                g.doubles + begin, y.doubles + begin, target.doubles + begin, end - begin)
                        }
                    }
                }
            }
        }
    }
}
