import CKernels

/// Convolution (cross-correlation, as in ONNX Conv and PyTorch's `conv2d`):
/// `y[n, m, o] = activation(bias[m] + sum over c, k of x[n, c, o * stride + k * dilation - padding] * w[m, c, k] + residual[n, m, o])`.
///
/// - `x`: `[N, C, spatial...]`, 1 to 3 spatial axes, `float32` or `float64`.
/// - `w`: `[M, C / groups, kernel...]`.
/// - `bias`: `[M]` or nil.
/// - `residual`: shaped like the result, or nil.
/// - Returns: `[N, M, spatial...]`
/// - Throws: `ShapeError` when shapes or element types do not fit.
public func convolution(
    _ x: NDArray, _ w: NDArray, bias: NDArray? = nil, geometry: ConvolutionGeometry, residual: NDArray? = nil,
    activation: FusedActivation = .none
) throws -> NDArray {
    let outputShape = try geometry.outputShape(input: x.shape, weight: w.shape)
    try requireOneType([x, w, bias, residual])
    if let bias, bias.shape != [w.shape[0]] {
        throw ShapeError("Conv", "expected bias [\(w.shape[0])], got \(bias.shape)")
    }
    if let residual, residual.shape != outputShape {
        throw ShapeError("Conv", "expected residual \(outputShape), got \(residual.shape)")
    }
    var result = try NDArray(result: outputShape, x.dtype, "Conv")
    if result.count == 0 { return result }
    var shape = try geometry.kernelShape(input: x.shape, weight: w.shape)
    let threads = Int32(Parallel.threadCount)
    withEpilogue(bias: bias, residual: residual, activation: activation) { epilogue in
        if x.dtype == .float32 {
            Scratch.withBytes(ft_conv_forward_workspace_f32(&shape, threads)) { scratch in
                withPointers(x, w, &result, as: Float.self) {
                    ft_conv_forward_f32(&shape, $0, $1, &epilogue, $2, scratch, threads)
                }
            }
        } else {
            Scratch.withBytes(ft_conv_forward_workspace_f64(&shape, threads)) { scratch in
                withPointers(x, w, &result, as: Double.self) {
                    ft_conv_forward_f64(&shape, $0, $1, &epilogue, $2, scratch, threads)
                }
            }
        }
    }
    return result
}

/// Gradient of `convolution` with respect to x, which is the transposed convolution of `gradOutput`.
///
/// - `gradOutput`: `[N, M, spatial...]`, shaped like the convolution's result.
/// - `w`: `[M, C / groups, kernel...]`.
/// - `inputShape`: shape of x, `[N, C, spatial...]`.
/// - Returns: `inputShape`
/// - Throws: `ShapeError` when shapes or element types do not fit.
public func convolutionInputGradient(
    _ gradOutput: NDArray, _ w: NDArray, inputShape: [Int], geometry: ConvolutionGeometry
) throws -> NDArray {
    try requireGradient(gradOutput, shapedAs: geometry.outputShape(input: inputShape, weight: w.shape))
    try requireOneType([gradOutput, w])
    // The kernel of float32 packs weights for each phase of the strides, of which there may be more than elements.
    if w.dtype == .float32, geometry.stride.contains(where: { $0 > 256 }) {
        return try convolutionInputGradient(
            gradOutput.converted(to: .float64), w.converted(to: .float64), inputShape: inputShape, geometry: geometry
        ).converted(to: .float32)
    }
    var result = try NDArray(result: inputShape, w.dtype, "Conv")
    if result.count == 0 { return result }
    var shape = try geometry.kernelShape(input: inputShape, weight: w.shape)
    let threads = Int32(Parallel.threadCount)
    if w.dtype == .float32 {
        Scratch.withBytes(ft_conv_grad_input_workspace_f32(&shape, threads)) { scratch in
            withPointers(gradOutput, w, &result, as: Float.self) {
                ft_conv_grad_input_f32(&shape, $0, $1, $2, scratch, threads)
            }
        }
    } else {
        Scratch.withBytes(ft_conv_grad_input_workspace_f64(&shape, threads)) { scratch in
            withPointers(gradOutput, w, &result, as: Double.self) {
                ft_conv_grad_input_f64(&shape, $0, $1, $2, scratch, threads)
            }
        }
    }
    return result
}

/// Gradient of `convolution` with respect to w.
///
/// - `x`: `[N, C, spatial...]`.
/// - `gradOutput`: `[N, M, spatial...]`, shaped like the convolution's result.
/// - `weightShape`: `[M, C / groups, kernel...]`.
/// - Returns: `weightShape`
/// - Throws: `ShapeError` when shapes or element types do not fit.
public func convolutionWeightGradient(
    _ x: NDArray, _ gradOutput: NDArray, weightShape: [Int], geometry: ConvolutionGeometry
) throws -> NDArray {
    try requireGradient(gradOutput, shapedAs: geometry.outputShape(input: x.shape, weight: weightShape))
    try requireOneType([x, gradOutput])
    var result = try NDArray(result: weightShape, x.dtype, "Conv")
    var shape = try geometry.kernelShape(input: x.shape, weight: weightShape)
    let threads = Int32(Parallel.threadCount)
    if x.dtype == .float32 {
        Scratch.withBytes(ft_conv_grad_weight_workspace_f32(&shape, threads)) { scratch in
            withPointers(x, gradOutput, &result, as: Float.self) {
                ft_conv_grad_weight_f32(&shape, $0, $1, $2, scratch, threads)
            }
        }
    } else {
        Scratch.withBytes(ft_conv_grad_weight_workspace_f64(&shape, threads)) { scratch in
            withPointers(x, gradOutput, &result, as: Double.self) {
                ft_conv_grad_weight_f64(&shape, $0, $1, $2, scratch, threads)
            }
        }
    }
    return result
}

/// Gradient of `convolution` with respect to its bias: `gradOutput` summed over images and positions.
///
/// - Parameter gradOutput: `[N, M, spatial...]`.
/// - Returns: `[M]`
/// - Throws: `ShapeError` when the rank or element type does not fit.
public func convolutionBiasGradient(_ gradOutput: NDArray) throws -> NDArray {
    guard gradOutput.rank >= 2 else {
        throw ShapeError("Conv", "expected gradOutput [N, M, spatial...], got \(gradOutput.shape)")
    }
    try requireOneType([gradOutput])
    var shape = ft_conv_shape()
    shape.batch = gradOutput.shape[0]
    shape.out_channels = gradOutput.shape[1]
    shape.output = (1, 1, gradOutput.shape.dropFirst(2).reduce(1, *))
    var result = NDArray(uninitialized: [shape.out_channels], dtype: gradOutput.dtype)
    if gradOutput.dtype == .float32 {
        withPointers(gradOutput, gradOutput, &result, as: Float.self) { grad, _, sum in
            ft_conv_grad_bias_f32(&shape, grad, sum)
        }
    } else {
        withPointers(gradOutput, gradOutput, &result, as: Double.self) { grad, _, sum in
            ft_conv_grad_bias_f64(&shape, grad, sum)
        }
    }
    return result
}

// MARK: - Helpers

private func requireOneType(_ operands: [NDArray?]) throws {
    let types = operands.compactMap { $0?.dtype }
    guard let first = types.first, first == .float32 || first == .float64, types.allSatisfy({ $0 == first }) else {
        let names = types.map(\.description).joined(separator: ", ")
        throw ShapeError("Conv", "expected operands of one type, float32 or float64, got \(names)")
    }
}

private func requireGradient(_ gradOutput: NDArray, shapedAs expected: [Int]) throws {
    guard gradOutput.shape == expected else {
        throw ShapeError("Conv", "expected gradOutput \(expected), got \(gradOutput.shape)")
    }
}

private func withPointers<T: Scalar>(
    _ a: NDArray, _ b: NDArray, _ result: inout NDArray, as type: T.Type,
    _ body: (UnsafePointer<T>, UnsafePointer<T>, UnsafeMutablePointer<T>) -> Void
) {
    a.withElements(as: T.self) { a in
        b.withElements(as: T.self) { b in
            result.withMutableElements(as: T.self) { result in
                guard let a = a.baseAddress, let b = b.baseAddress, let result = result.baseAddress else { return }
                body(a, b, result)
            }
        }
    }
}

func withEpilogue<R>(
    bias: NDArray?, residual: NDArray?, activation: FusedActivation, _ body: (inout ft_conv_epilogue) throws -> R
) rethrows -> R {
    var epilogue = ft_conv_epilogue()
    switch activation {
    case .none: break
    case .relu: (epilogue.clip, epilogue.low, epilogue.high) = (true, 0, .infinity)
    case .clip(let low, let high): (epilogue.clip, epilogue.low, epilogue.high) = (true, low, high)
    }
    func address(_ array: NDArray?) -> UnsafeRawPointer? { array?.withUnsafeBytes { $0.baseAddress } }
    return try withExtendedLifetime((bias, residual)) {
        epilogue.bias = address(bias)
        epilogue.residual = address(residual)
        return try body(&epilogue)
    }
}
