import GraphIR
import TensorCore

/// How a model takes pictures: channels, size and layout of its first input.
public struct PictureInput: Sendable, Equatable {
    /// 1 or 3.
    public var channels: Int
    /// Pixels, where the file fixes them.
    public var height: Int?
    public var width: Int?
    /// `[N, H, W, C]` instead of `[N, C, H, W]`.
    public var isChannelsLast: Bool

    /// Reads the first input of `graph`. Throws `GraphError` when it does not take pictures.
    public init(_ graph: Graph) throws {
        let id = try graph.pictureInput()
        let place = "input '\(graph.values[id].name)'"
        guard let declared = graph.values[id].declared else { throw GraphError(place, "has no declared shape") }
        guard declared.dimensions.count == 4, declared.dtype == .float32 else {
            throw GraphError(
                place,
                "expected float32 pictures [N, C, H, W], got \(declared.dtype) of rank \(declared.dimensions.count)")
        }
        isChannelsLast = Graph.isChannelsLast(declared)
        func size(_ axis: Int) -> Int? {
            if case .fixed(let size) = declared.dimensions[axis] { size } else { nil }
        }
        channels = size(isChannelsLast ? 3 : 1) ?? 3
        height = size(isChannelsLast ? 1 : 2)
        width = size(isChannelsLast ? 2 : 3)
        guard channels == 1 || channels == 3 else {
            throw GraphError(place, "takes \(channels) channels; pictures have 1 or 3")
        }
    }

    /// `[N, C, H, W]` pictures in the model's layout.
    func arrange(_ images: NDArray) throws -> NDArray { isChannelsLast ? try images.transposed([0, 2, 3, 1]) : images }
}
