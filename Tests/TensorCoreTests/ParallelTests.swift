import Synchronization
import TensorCore
import Testing

@Suite struct ParallelTests {
    @Test(arguments: [0, 1, 2, 3, 100, 5000])
    func runsEveryTaskOnce(_ count: Int) {
        var runs = [Int](repeating: 0, count: count)
        runs.withUnsafeMutableBufferPointer { runs in
            // Every task has a slot of its own, so that running one twice at once is a race to be seen.
            nonisolated(unsafe) let slots = runs
            Parallel.forEach(count) { task in slots[task] += 1 }
        }
        #expect(runs.allSatisfy { $0 == 1 })
    }

    @Test func nestsAndTakesSeveralCallers() async {
        let sums = await withTaskGroup(of: Int.self) { group in
            for _ in 0..<8 {
                group.addTask { nestedRuns(repeats: 50) }
            }
            return await group.reduce(0, +)
        }
        #expect(sums == 8 * 50 * 4 * 3)
    }
}

/// Runs 4 x 3 nested tasks `repeats` times and returns how many ran.
private func nestedRuns(repeats: Int) -> Int {
    // An atomic and no Mutex: the thread sanitizer cannot look into the library's lock.
    let total = Atomic(0)
    for _ in 0..<repeats {
        Parallel.forEach(4) { _ in
            Parallel.forEach(3) { _ in total.wrappingAdd(1, ordering: .relaxed) }
        }
    }
    return total.load(ordering: .relaxed)
}
