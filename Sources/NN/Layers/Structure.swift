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

    public override func emptyCopy() throws -> Module {
        Flatten(startDim: startDim, endDim: endDim)
    }
}

/// x itself; takes the place of a layer that is not wanted. Source: `torch.nn.Identity`.
public final class Identity: Module {
    public override func forward(_ x: Tensor) throws -> Tensor { x }

    public override func emptyCopy() throws -> Module {
        Identity()
    }
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

    private init(items: [(name: String, module: Module)]) { self.items = items }

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

    public override func emptyCopy() throws -> Module {
        Sequential(items: try items.map { ($0.name, try $0.module.copy()) })
    }
}

/// Modules in a list, called `0`, `1`, ..., without a `forward`: the module that holds it says how they are used.
///
/// Source: `torch.nn.ModuleList`.
public final class ModuleList: Module {
    private var items: [Module]

    /// The given modules, in order.
    public init(_ modules: [Module] = []) { items = modules }

    public override var members: Members { Members(items.enumerated().map { ("\($0)", $1) }) }

    /// Adds a module at the end.
    public func append(_ module: Module) { items.append(module) }

    public override func emptyCopy() throws -> Module { ModuleList(try items.map { try $0.copy() }) }
}

extension ModuleList: RandomAccessCollection {
    public var startIndex: Int { 0 }
    public var endIndex: Int { items.count }
    public subscript(index: Int) -> Module {
        get { items[index] }
        set { items[index] = newValue }
    }
}
