import Autograd
import Operators
import TensorCore

/// In training sets each element to zero with probability p and scales the others by 1 / (1 − p); otherwise returns x itself.
///
/// Source: `torch.nn.functional.dropout`.
public func dropout(_ x: Tensor, p: Double, training: Bool, using random: inout RandomSource) throws -> Tensor {
    guard (0...1).contains(p) else { throw ShapeError("dropout", "p must lie between 0 and 1, got \(p)") }
    guard training, p > 0 else { return x }
    // Drawing nothing for p = 1 would make the stream depend on p.
    let kept = p == 1 ? 0 : 1 / (1 - p)
    return x * Tensor(try NDArray.dropoutMask(x.shape, p: p, kept: kept, dtype: x.dtype, from: &random))
}

/// Sets elements to zero at random while training. Source: `torch.nn.Dropout`.
///
/// Seeded: two layers with the same source drop the same elements. Inside `checkpoint` the second run drops what the first
/// did.
public final class Dropout: Module {
    /// Probability that an element becomes zero.
    public let p: Double
    /// Where the next masks come from; part of what a resumed run needs.
    public var random: RandomSource

    /// - `random`: by default the scope of `withRandomSeed`.
    public init(_ p: Double = 0.5, random: RandomSource? = nil) {
        demand((0...1).contains(p), "p must lie between 0 and 1, got \(p)")
        self.p = p
        self.random = random ?? RandomScope.next()
    }

    public override func forward(_ x: Tensor) throws -> Tensor {
        guard isTraining, p > 0 else { return x }
        var stream = try onceInCheckpoint { random.split(random.next()) }
        return try dropout(x, p: p, training: true, using: &stream)
    }

    public override var extraDescription: String { "p=\(number(p)), inplace=False" }

    public override func emptyCopy() throws -> Module {
        Dropout(p, random: random)
    }
}
