import Synchronization
import TensorCore
import Testing

@Suite struct ParallelTests {
    @Test(arguments: [0, 1, 2, 3, 100, 5000])
    func runsEveryTaskOnce(_ count: Int) {
        let runs = Mutex([Int](repeating: 0, count: count))
        Parallel.forEach(count) { task in runs.withLock { $0[task] += 1 } }
        #expect(runs.withLock { $0.allSatisfy { $0 == 1 } })
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
    let total = Mutex(0)
    for _ in 0..<repeats {
        Parallel.forEach(4) { _ in
            Parallel.forEach(3) { _ in total.withLock { $0 += 1 } }
        }
    }
    return total.withLock { $0 }
}
