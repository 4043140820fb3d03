import Autograd
import Operators
import TensorCore

/// The axes from `startDim` to `endDim` as one: by default everything but the batch. Source: `torch.nn.Flatten`.
public final class Flatten: Module {
    public let startDim: Int
    public let endDim: Int

    /// Joins the axes from `startDim` to `endDim`.
    public init(startDim: Int = 1, endDim: Int = -1) {
        self.startDim = startDim
        self.endDim = endDim
    }

    public override func forward(_ x: Tensor) throws -> Tensor {
        guard let start = normalizedAxis(startDim, rank: x.rank), let end = normalizedAxis(endDim, rank: x.rank),
            start <= end
        else {
            throw ShapeError("Flatten", "axes \(startDim) to \(endDim) do not fit shape \(x.shape)")
        }
        return x.flatten(startDim: start, endDim: end)
    }

    public override var extraDescription: String { "start_dim=\(startDim), end_dim=\(endDim)" }
}

/// x itself; takes the place of a layer that is not wanted. Source: `torch.nn.Identity`.
public final class Identity: Module {
    public override func forward(_ x: Tensor) throws -> Tensor { x }
}

/// Modules one after another, each fed with the result of the one before. Source: `torch.nn.Sequential`.
public final class Sequential: Module {
    private var items: [(name: String, module: Module)]

    /// Modules called `0`, `1`, ...
    public init(_ modules: [Module]) { items = modules.enumerated().map { ("\($0)", $1) } }
    /// One module after the other.
    public convenience init(_ modules: Module...) { self.init(modules) }

    /// Modules under names of their own, in order.
    public init(named modules: KeyValuePairs<String, Module>) { items = modules.map { ($0.key, $0.value) } }

    public var count: Int { items.count }

    /// The module at a position; setting it replaces the module under the same name, as a new head takes the old one's place.
    public subscript(index: Int) -> Module {
        get { items[index].module }
        set { items[index].module = newValue }
    }

    public override var members: Members { Members(items.map { ($0.name, $0.module) }) }

    public override func forward(_ x: Tensor) throws -> Tensor {
        try items.reduce(x) { try $1.module($0) }
    }
}
