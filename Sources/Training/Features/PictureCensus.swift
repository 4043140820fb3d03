import Dispatch
import Files
import Synchronization
import Vision

/// Finds out what picture files contain behind the back of who needs to know it later; who waits for it helps.
final class PictureCensus: Sendable {
    let paths: [String]
    private let cache: FeatureCache?
    private let limits: DecodeLimits
    /// Position of the first picture that nobody has taken, and the number of those that are done.
    private let next = Atomic<Int>(0)
    private let finished = Atomic<Int>(0)
    private let isCancelled = Atomic<Bool>(false)
    private let known = Mutex<[PictureIndex.Stamp: SHA256.Digest]?>(nil)
    private let findings: Mutex<[PictureIndex.Finding?]>
    private let result = Mutex<Result?>(nil)
    private let done = DispatchGroup()

    private struct Result {
        var index: PictureIndex
        /// Why what was found could not be noted for the next run.
        var failure: (any Error)?
    }

    /// One thread for all of them, so that training keeps the others.
    private static let queue = DispatchQueue(label: "finetune.census", qos: .utility)
    /// Pictures taken at once.
    private static let portion = 16

    /// Begins. `cache` is where earlier runs left what they knew.
    init(_ paths: [String], cache: FeatureCache?, limits: DecodeLimits) {
        self.paths = paths
        self.cache = cache
        self.limits = limits
        findings = Mutex([PictureIndex.Finding?](repeating: nil, count: paths.count))
        done.enter()
        if paths.isEmpty { conclude() } else { PictureCensus.queue.async { self.work() } }
    }

    /// What the pictures contain, once that is known.
    var index: PictureIndex? { result.withLock { $0?.index } }

    /// Ends work in the background; nobody may wait any more.
    func cancel() { isCancelled.store(true, ordering: .relaxed) }

    /// Waits for the end, at most so many seconds. True when it has come.
    func wait(seconds: Double) -> Bool { done.wait(timeout: .now() + seconds) == .success }

    /// Helps until all is known.
    func wait() -> (index: PictureIndex, failure: (any Error)?) {
        work(telling: WorkProgress.observer)
        done.wait()
        return result.withLock { ($0?.index ?? PictureIndex([], []), $0?.failure) }
    }

    private func work(telling observer: WorkProgress.Observer? = nil) {
        guard next.load(ordering: .relaxed) < paths.count else { return }
        let known = remembered()
        while !isCancelled.load(ordering: .relaxed) {
            let first = next.wrappingAdd(PictureCensus.portion, ordering: .relaxed).oldValue
            guard first < paths.count else { return }
            let range = first..<min(first + PictureCensus.portion, paths.count)
            let found = range.map { PictureIndex.Finding(paths[$0], known: known, limits: limits) }
            findings.withLock { findings in
                for (index, finding) in zip(range, found) { findings[index] = finding }
            }
            let count = finished.wrappingAdd(range.count, ordering: .acquiringAndReleasing).newValue
            observer?("reading pictures", count, paths.count)
            if count == paths.count { conclude() }
        }
    }

    /// What an earlier run knew; read by the first thread that comes.
    private func remembered() -> [PictureIndex.Stamp: SHA256.Digest] {
        known.withLock { known in
            if let known { return known }
            let read = cache?.knownPictures(paths) ?? [:]
            known = read
            return read
        }
    }

    private func conclude() {
        let index = PictureIndex(paths, findings.withLock { $0.compactMap(\.self) })
        let failure = cache?.note(index, of: paths)
        findings.withLock { $0 = [] }
        known.withLock { $0 = nil }
        result.withLock { $0 = Result(index: index, failure: failure) }
        done.leave()
    }
}
