import Autograd
import TensorCore

/// Mean squared error (input - target)². Both of one shape. Source: `torch.nn.functional.mse_loss`.
///
/// - Returns: a scalar, or the squares without reduction.
/// - Throws: `ShapeError` when the shapes differ.
public func mseLoss(_ input: Tensor, _ target: Tensor, reduction: Reduction = .mean) throws -> Tensor {
    guard input.shape == target.shape else {
        throw ShapeError("mseLoss", "expected equal shapes, got \(input.shape) and \(target.shape)")
    }
    let difference: Tensor = try apply(Op.Sub(), input, target)
    return try reduction.apply(to: apply(Op.Mul(), difference, difference))
}
