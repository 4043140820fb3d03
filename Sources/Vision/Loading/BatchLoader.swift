import Files
import Synchronization
import TensorCore

/// Some pictures as a model's input.
public struct Batch: Sendable {
    /// float32 `[N, channels, height, width]`, normalised.
    public let images: NDArray
    /// The class of each picture.
    public let labels: [Int]
    /// The position of each picture in the dataset: features can be kept under it.
    public let indices: [Int]

    public var count: Int { labels.count }
}

/// Turns a dataset into batches on background threads while the caller computes.
///
/// The same seed, epoch and settings give the same batches bit for bit, however many workers there are: the order is a
/// permutation drawn from (seed, epoch), the random choices for a picture come from (seed, epoch, index).
public final class BatchLoader: Sendable {
    /// What happens when a picture cannot be decoded.
    public enum BadPicturePolicy: Sendable, Hashable {
        /// `next()` throws its `PictureError`.
        case fail
        /// The picture is left out of its batch and noted in `skipped`.
        case skip
    }

    /// How pictures are put into batches.
    public struct Configuration: Sendable, Hashable {
        public var batchSize: Int
        /// A new order each epoch; otherwise the dataset's.
        public var shuffle: Bool
        public var seed: UInt64
        /// Leaves out a last batch that is not full.
        public var dropLast: Bool
        /// Background threads; with 0 the caller does all the work inside `next()`.
        public var workers: Int
        /// Batches prepared ahead of the one the caller works on.
        public var prefetch: Int
        /// Memory for pictures kept from one epoch to the next.
        public var cacheBytes: Int
        public var badPictures: BadPicturePolicy
        public var limits: DecodeLimits

        public init(
            batchSize: Int = 4, shuffle: Bool = false, seed: UInt64 = 0, dropLast: Bool = false, workers: Int = 2,
            prefetch: Int = 2, cacheBytes: Int = 256 << 20, badPictures: BadPicturePolicy = .fail,
            limits: DecodeLimits = DecodeLimits()
        ) {
            precondition(batchSize > 0 && workers >= 0 && prefetch >= 0 && cacheBytes >= 0, "negative loader setting")
            self.batchSize = batchSize
            self.shuffle = shuffle
            self.seed = seed
            self.dropLast = dropLast
            self.workers = workers
            self.prefetch = prefetch
            self.cacheBytes = cacheBytes
            self.badPictures = badPictures
            self.limits = limits
        }
    }

    public let dataset: PictureDataset
    public let transform: Transform
    public let configuration: Configuration
    /// The size of every picture in a batch.
    public let pictureSize: PictureSize

    private let cache: PictureCache
    private let queue: SampleQueue
    private let bad = Mutex<[Int: PictureError]>([:])

    /// Prepares loading; decodes the first picture if `transform` alone does not fix the size.
    ///
    /// Throws `TransformError.openSize` if pictures leave `transform` with a size of their own, `PictureError` if the
    /// first picture is needed and cannot be read.
    public init(
        _ dataset: PictureDataset, transform: Transform, configuration: Configuration = Configuration()
    ) throws {
        self.dataset = dataset
        self.transform = transform
        self.configuration = configuration
        self.cache = PictureCache(maxBytes: configuration.cacheBytes)
        self.queue = SampleQueue(workers: configuration.workers)
        if let size = transform.outputSize {
            pictureSize = size
        } else if let first = dataset.samples.first {
            let header = try PictureHeader(contentsOf: first.path, limits: configuration.limits)
            guard let size = transform.outputSize(of: header.size(transform.exif)) else {
                throw TransformError.openSize("'\(transform)' does not say which")
            }
            pictureSize = size
        } else {
            throw TransformError.openSize("the dataset is empty")
        }
    }

    /// Float32 `[channels, height, width]` of one picture in a batch.
    public var sampleShape: [Int] { [transform.mode.channels, pictureSize.height, pictureSize.width] }

    /// Batches in an epoch, before any picture is skipped.
    public var batchCount: Int {
        let size = configuration.batchSize
        let full = dataset.count / size
        return configuration.dropLast || dataset.count == full * size ? full : full + 1
    }

    /// Pictures that could not be decoded so far, in the dataset's order.
    public var skipped: [PictureError] { bad.withLock { $0.sorted { $0.key < $1.key }.map(\.value) } }

    /// The order in which epoch `number` visits the dataset.
    public func order(ofEpoch number: Int) -> [Int] {
        guard configuration.shuffle else { return Array(0..<dataset.count) }
        // Pictures use the streams 0 and up of an epoch.
        var random = RandomSource(seed: configuration.seed).split(number).split(-1)
        return random.permutation(dataset.count)
    }

    /// Positions in the dataset of the batches of epoch `number`.
    public func batches(ofEpoch number: Int) -> [[Int]] {
        let order = order(ofEpoch: number)
        let size = configuration.batchSize
        return (0..<batchCount).map { Array(order[$0 * size..<min(($0 + 1) * size, order.count)]) }
    }

    /// Starts loading epoch `number`; its first batches are being prepared when this returns.
    public func epoch(_ number: Int) -> Epoch { epoch(number, visiting: batches(ofEpoch: number)) }

    /// Starts loading batches of one's own, with the random choices of epoch `number`.
    public func epoch(_ number: Int, visiting batches: [[Int]]) -> Epoch {
        Epoch(loader: self, number: number, chunks: batches)
    }

    /// The pictures at `indices`, in that order, as one batch of epoch `number`.
    ///
    /// With `.skip`, pictures that cannot be decoded are missing, so `indices` of the result may be shorter. Nil when none
    /// is left. Throws `PictureError` under `.fail`.
    public func batch(at indices: [Int], epoch number: Int = 0) throws(PictureError) -> Batch? {
        let pending = PendingBatch(loader: self, epoch: number, indices: indices)
        queue.enqueue(pending)
        return try finish(pending)
    }

    fileprivate func enqueue(_ pending: PendingBatch) { queue.enqueue(pending) }
    fileprivate func cancel(_ pending: [PendingBatch]) { queue.cancel(pending) }

    /// Helps until `pending` is ready, then notes its bad pictures.
    fileprivate func finish(_ pending: PendingBatch) throws(PictureError) -> Batch? {
        queue.work(on: pending)
        let (batch, failures) = pending.result()
        if configuration.badPictures == .fail, let first = failures.first { throw first.error }
        bad.withLock { bad in
            for failure in failures { bad[failure.index] = failure.error }
        }
        return batch
    }

    /// Decodes (or finds in the cache), transforms and normalises one picture.
    func load(_ index: Int, epoch: Int, into planes: UnsafeMutableBufferPointer<Float>) throws(PictureError) {
        let deferred: DeferredPicture
        let path = dataset.samples[index].path
        if transform.isDeterministic {
            // What is kept is the small result; it only has to be normalised again.
            deferred = DeferredPicture(
                try cache.picture(index) { () throws(PictureError) in try transformed(index, epoch: epoch).rendered() })
        } else {
            deferred = try transformed(index, epoch: epoch)
        }
        guard deferred.size == pictureSize else {
            let text = "is \(deferred.size) pixels after the transform; the batch has \(pictureSize)"
            throw PictureError(path: path, reason: .wrongSize(text))
        }
        transform.write(deferred, into: planes)
    }

    private func transformed(_ index: Int, epoch: Int) throws(PictureError) -> DeferredPicture {
        let path = dataset.samples[index].path
        let decode = { () throws(PictureError) in
            try Picture(
                contentsOf: path, mode: self.transform.mode, exif: self.transform.exif,
                limits: self.configuration.limits)
        }
        let picture = transform.isDeterministic ? try decode() : try cache.picture(index, decode)
        var random = RandomSource(seed: configuration.seed).split(epoch).split(index)
        return transform.apply(to: picture, using: &random)
    }
}

extension BatchLoader {
    /// One pass over the dataset. Not `Sendable`: one thread calls `next()`.
    ///
    /// Loading stops when it is released.
    public final class Epoch {
        public let number: Int
        private let loader: BatchLoader
        private var waiting: ArraySlice<[Int]>
        private var started: [PendingBatch] = []

        fileprivate init(loader: BatchLoader, number: Int, chunks: [[Int]]) {
            self.loader = loader
            self.number = number
            self.waiting = chunks[...]
            start(loader.configuration.workers > 0 ? loader.configuration.prefetch : 0)
        }

        /// The next batch, nil after the last. Throws `PictureError` for the first bad picture under `.fail`.
        public func next() throws(PictureError) -> Batch? {
            while true {
                if started.isEmpty { start(1) }
                guard !started.isEmpty else { return nil }
                let pending = started.removeFirst()
                // Its successor is prepared while the caller works on this batch.
                if loader.configuration.workers > 0 { start(loader.configuration.prefetch - started.count) }
                // Every picture of a batch may have been skipped.
                if let batch = try loader.finish(pending) { return batch }
            }
        }

        private func start(_ count: Int) {
            for _ in 0..<max(count, 0) {
                guard let indices = waiting.popFirst() else { return }
                let pending = PendingBatch(loader: loader, epoch: number, indices: indices)
                started.append(pending)
                loader.enqueue(pending)
            }
        }

        deinit { loader.cancel(started) }
    }
}
