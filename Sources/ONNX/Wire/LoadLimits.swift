import Files

/// What a model file may cost before it is refused. The defaults leave room for every known real model.
public struct LoadLimits: Sendable, Equatable {
    /// Largest model file in bytes. Protobuf itself ends at 2 GiB; larger models keep their weights in external data.
    public var fileBytes = Int(Int32.max)
    /// Memory in bytes for everything but the tensors' elements: nodes, names, shapes, metadata.
    public var structureBytes = 96 << 20
    /// Messages nested in each other; a graph inside an attribute inside a node takes three.
    public var nesting = 100
    /// Which files external data may name.
    public var externalData = PathPolicy.beneathFolder

    /// The limits that `default` has.
    public init() {}

    public static let `default` = LoadLimits()
}
