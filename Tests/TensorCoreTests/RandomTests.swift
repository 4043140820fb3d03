import Testing

@testable import TensorCore

@Suite("Random numbers")
struct RandomTests {
    @Test("the same seed gives the same numbers")
    func seeded() {
        var (a, b, c) = (RandomSource(seed: 1), RandomSource(seed: 1), RandomSource(seed: 2))
        let first = (0..<10).map { _ in a.next() }
        #expect(first == (0..<10).map { _ in b.next() })
        #expect(first != (0..<10).map { _ in c.next() })
        #expect(Set(first).count == 10)
    }

    @Test("the numbers never change between versions: runs must stay repeatable")
    func stable() {
        var random = RandomSource(seed: 42)
        #expect([random.next(), random.next()] == [0xD076_4D4F_4476_689F, 0x519E_4174_576F_3791])
        #expect(random.permutation(6) == [2, 0, 1, 4, 3, 5])
    }

    @Test("split depends on seed and key, not on what was drawn")
    func split() {
        let fresh = RandomSource(seed: 5)
        var used = fresh
        _ = used.next()
        #expect(fresh.split(3) == used.split(3))
        #expect(fresh.split(3) != fresh.split(4) && fresh.split(3) != fresh)
        #expect(fresh.split(1).split(2) != fresh.split(2).split(1))
        let seeds = Set(
            (0..<1000).map { key in
                var stream = fresh.split(key)
                return stream.next()
            })
        #expect(seeds.count == 1000)
    }

    @Test("uniform numbers fill their interval evenly")
    func uniform() {
        var random = RandomSource(seed: 3)
        let draws = (0..<20_000).map { _ in random.uniform() }
        #expect(draws.allSatisfy { (0..<1).contains($0) })
        #expect(abs(draws.reduce(0, +) / 20_000 - 0.5) < 0.01)
        let floats = (0..<20_000).map { _ in random.uniformFloat() }
        #expect(floats.allSatisfy { (0..<1).contains($0) })
        var counts = [Int](repeating: 0, count: 7)
        for _ in 0..<70_000 { counts[random.integer(below: 7)] += 1 }
        #expect(counts.allSatisfy { abs($0 - 10_000) < 500 })
        #expect((0..<100).allSatisfy { _ in random.integer(below: 1) == 0 })
    }

    @Test("normal numbers have mean 0, variance 1 and no skew")
    func normal() {
        var random = RandomSource(seed: 4)
        let draws = (0..<50_000).map { _ in random.normal() }
        #expect(abs(draws.reduce(0, +) / 50_000) < 0.02)
        #expect(abs(draws.map { $0 * $0 }.reduce(0, +) / 50_000 - 1) < 0.03)
        #expect(abs(draws.map { $0 * $0 * $0 }.reduce(0, +) / 50_000) < 0.06)
    }

    @Test("a permutation holds every number once")
    func permutation() {
        var random = RandomSource(seed: 6)
        #expect(random.permutation(100).sorted() == Array(0..<100))
        #expect(random.permutation(0).isEmpty && random.permutation(1) == [0])
    }
}
