import Autograd
import TensorCore

/// How `interpolate` finds a value between elements.
public enum Interpolation: Sendable {
    /// The element at ⌊position⌋.
    case nearest
    /// Between the two neighbours along each axis; `alignCorners` puts the outer elements' centres onto each other, otherwise
    /// their edges.
    case linear(alignCorners: Bool = false)
}

/// Pictures or sequences `[N, C, ...]` in another size, each axis by itself. Source: `torch.nn.functional.interpolate`.
///
/// - `size`: elements along each axis behind the channels.
/// - `mode`: `.linear()` is PyTorch's `linear` and `bilinear`.
/// - Throws: `ShapeError` when the size does not fit.
public func interpolate(_ x: Tensor, size: [Int], mode: Interpolation = .nearest) throws -> Tensor {
    guard x.rank >= 3, size.count == x.rank - 2, size.allSatisfy({ $0 > 0 }) else {
        throw ShapeError("interpolate", "expected [N, C, ...] and positive sizes behind C, got \(x.shape) and \(size)")
    }
    let scales = zip(size, x.shape[2...]).map { Double($1) / Double($0) }
    return try resized(x, size, scales, mode)
}

/// Pictures or sequences `[N, C, ...]` enlarged by `scaleFactor` along each axis behind the channels.
///
/// Source: `torch.nn.functional.interpolate`. Throws `ShapeError` for a factor that leaves nothing.
public func interpolate(_ x: Tensor, scaleFactor: Double, mode: Interpolation = .nearest) throws -> Tensor {
    guard x.rank >= 3, scaleFactor > 0 else {
        throw ShapeError("interpolate", "expected [N, C, ...] and a positive factor, got \(x.shape) and \(scaleFactor)")
    }
    let size = x.shape[2...].map { Int((Double($0) * scaleFactor).rounded(.down)) }
    guard size.allSatisfy({ $0 > 0 }) else {
        throw ShapeError("interpolate", "factor \(scaleFactor) leaves nothing of \(x.shape)")
    }
    return try resized(x, size, size.map { _ in 1 / scaleFactor }, mode)
}

private func resized(_ x: Tensor, _ size: [Int], _ scales: [Double], _ mode: Interpolation) throws -> Tensor {
    try size.indices.reduce(x) { y, index in
        let axis = index + 2
        let (from, to) = (x.shape[axis], size[index])
        switch mode {
        case .nearest:
            if from == to && scales[index] == 1 { return y }
            let positions = (0..<to).map { Swift.min(Int((Double($0) * scales[index]).rounded(.down)), from - 1) }
            return y.indexSelect(axis, Tensor(NDArray(positions)))
        case .linear(let alignCorners):
            // Each result is a weighted sum along the axis: a matrix product with the axis last.
            let matrix = weights(from, to, scales[index], alignCorners: alignCorners)
            let product = y.transpose(axis, -1).matmul(Tensor(matrix.converted(to: x.dtype)))
            return product.transpose(axis, -1)
        }
    }
}

/// `[from, to]`: the share of each element in each result.
private func weights(_ from: Int, _ to: Int, _ scale: Double, alignCorners: Bool) -> NDArray {
    var values = [Double](repeating: 0, count: from * to)
    for target in 0..<to {
        let position: Double
        if alignCorners {
            position = to > 1 ? Double(target) * Double(from - 1) / Double(to - 1) : 0
        } else {
            position = Swift.max(0, (Double(target) + 0.5) * scale - 0.5)
        }
        let low = Swift.min(Int(position), from - 1)
        let share = position - Double(low)
        values[low * to + target] += 1 - share
        values[Swift.min(low + 1, from - 1) * to + target] += share
    }
    return NDArray(values, shape: [from, to])
}
