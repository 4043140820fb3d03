import Dispatch
import Synchronization
import TensorCore

/// Hands the pictures of pending batches to a bounded number of background workers, oldest batch first.
///
/// Workers exist only while there is work; nothing waits inside them.
final class SampleQueue: Sendable {
    private struct State {
        var waiting: [(batch: PendingBatch, slots: Range<Int>)] = []
        var running = 0
    }

    private let state = Mutex(State())
    private let workers: Int
    private let queue = DispatchQueue(label: "finetune.loader", qos: .userInitiated, attributes: .concurrent)

    init(workers: Int) { self.workers = workers }

    func enqueue(_ batch: PendingBatch) {
        let added = state.withLock { state in
            if batch.count > 0 { state.waiting.append((batch, 0..<batch.count)) }
            let added = max(0, min(workers - state.running, batch.count))
            state.running += added
            return added
        }
        for _ in 0..<added { queue.async { self.drain() } }
    }

    /// Forgets pictures that no worker has begun.
    func cancel(_ batches: [PendingBatch]) {
        guard !batches.isEmpty else { return }
        state.withLock { state in
            state.waiting.removeAll { entry in batches.contains { $0 === entry.batch } }
        }
    }

    /// Lends the calling thread until `batch` is complete.
    func work(on batch: PendingBatch) {
        while let slot = take(from: batch) { batch.load(slot) }
        batch.wait()
    }

    private func drain() {
        while let (batch, slot) = takeAny() { batch.load(slot) }
    }

    private func take(from batch: PendingBatch) -> Int? {
        state.withLock { state in
            guard let position = state.waiting.firstIndex(where: { $0.batch === batch }) else { return nil }
            return Self.take(&state, position).slot
        }
    }

    private func takeAny() -> (batch: PendingBatch, slot: Int)? {
        state.withLock { state in
            guard !state.waiting.isEmpty else {
                state.running -= 1
                return nil
            }
            return Self.take(&state, 0)
        }
    }

    private static func take(_ state: inout State, _ position: Int) -> (batch: PendingBatch, slot: Int) {
        let (batch, slots) = state.waiting[position]
        if slots.count == 1 {
            state.waiting.remove(at: position)
        } else {
            state.waiting[position].slots = slots.dropFirst()
        }
        return (batch, slots.lowerBound)
    }
}

/// A batch whose pictures are being loaded, each into its own slot of the batch's memory.
final class PendingBatch: Sendable {
    private let loader: BatchLoader
    private let epoch: Int
    private let indices: [Int]
    /// Float32 `[count] + sampleShape`. A slot is written by the one worker that took it, and read after `wait`.
    private let memory: Storage
    private let state: Mutex<(left: Int, failures: [Int: PictureError])>
    private let ready = DispatchSemaphore(value: 0)

    init(loader: BatchLoader, epoch: Int, indices: [Int]) {
        self.loader = loader
        self.epoch = epoch
        self.indices = indices
        self.memory = Storage(
            byteCount: indices.count * elementCount(loader.sampleShape) * MemoryLayout<Float>.stride)
        self.state = Mutex((left: indices.count, failures: [:]))
    }

    var count: Int { indices.count }

    /// Loads the picture of one slot; called once for each.
    func load(_ slot: Int) {
        let size = elementCount(loader.sampleShape)
        let start = memory.pointer.assumingMemoryBound(to: Float.self) + slot * size
        var failure: PictureError?
        do throws(PictureError) {
            try loader.load(
                indices[slot], epoch: epoch, into: UnsafeMutableBufferPointer(start: start, count: size))
        } catch {
            failure = error
        }
        let isLast = state.withLock { state in
            state.failures[slot] = failure
            state.left -= 1
            return state.left == 0
        }
        if isLast { ready.signal() }
    }

    /// Returns when every slot has been loaded; called once.
    func wait() { if count > 0 { ready.wait() } }

    /// The pictures that could be loaded, nil if there are none, and what went wrong with the others in slot order.
    func result() -> (batch: Batch?, failures: [(index: Int, error: PictureError)]) {
        let failures = state.withLock { $0.failures }
        let whole = NDArray(storage: memory, shape: [count] + loader.sampleShape, dtype: .float32)
        let errors = failures.sorted { $0.key < $1.key }.map { (indices[$0.key], $0.value) }
        let good = indices.indices.filter { failures[$0] == nil }
        guard !good.isEmpty else { return (nil, errors) }
        let kept = good.map { indices[$0] }
        let images = failures.isEmpty ? whole : gather(good, of: whole)
        let batch = Batch(images: images, labels: kept.map { loader.dataset.samples[$0].label }, indices: kept)
        return (batch, errors)
    }

    private func gather(_ slots: [Int], of whole: NDArray) -> NDArray {
        var part = NDArray(uninitialized: [slots.count] + loader.sampleShape, dtype: .float32)
        let size = elementCount(loader.sampleShape)
        whole.withElements(as: Float.self) { source in
            part.withMutableElements(as: Float.self) { out in
                for (row, slot) in slots.enumerated() {
                    _ = out[row * size..<(row + 1) * size].update(
                        fromContentsOf: source[slot * size..<(slot + 1) * size])
                }
            }
        }
        return part
    }
}
