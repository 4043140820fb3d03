import Synchronization

/// Keeps pictures by their position in the dataset until a budget is used up; what is in stays in.
///
/// Every epoch visits every picture once, so putting a new one in an old one's place would never gain anything.
final class PictureCache: Sendable {
    private struct State {
        var pictures: [Int: Picture] = [:]
        var bytes = 0
    }

    private let state = Mutex(State())
    private let maxBytes: Int

    init(maxBytes: Int) { self.maxBytes = maxBytes }

    /// The picture kept under `index`, or the one that `make` returns, kept if there is room.
    func picture(_ index: Int, _ make: () throws(PictureError) -> Picture) throws(PictureError) -> Picture {
        if let kept = state.withLock({ $0.pictures[index] }) { return kept }
        let picture = try make()
        state.withLock { state in
            guard state.pictures[index] == nil, state.bytes + picture.byteCount <= maxBytes else { return }
            state.pictures[index] = picture
            state.bytes += picture.byteCount
        }
        return picture
    }

    /// Bytes in use.
    var byteCount: Int { state.withLock { $0.bytes } }
}
