import Autograd
import TensorCore

/// How the losses of samples become one number.
public enum Reduction: String, Sendable, CaseIterable {
    /// One loss per sample.
    case none
    case mean
    case sum
}

extension Reduction {
    /// The `reduction` attribute of ONNX's losses.
    init(_ node: NodeAttributes) throws {
        let text = try node.string("reduction", default: Reduction.mean.rawValue)
        guard let value = Reduction(rawValue: text) else {
            throw node.unsupported("reduction", "expected none, mean or sum, got '\(text)'")
        }
        self = value
    }

    /// Reduces plain losses.
    func apply(to losses: Tensor) throws -> Tensor {
        if self == .none { return losses }
        let sum = try losses.summed(to: [])
        return self == .sum ? sum : sum * (1 / Double(losses.count))
    }
}
