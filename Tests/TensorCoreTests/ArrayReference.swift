import Foundation
import TensorCore

/// A plain array of `Double` that the tests compute with one element at a time.
struct Reference {
    var shape: [Int]
    var values: [Double]

    init(_ shape: [Int], _ values: [Double]) {
        self.shape = shape
        self.values = values
    }

    init(_ array: NDArray) { self.init(array.shape, array.doubles()) }

    init(_ shape: [Int], _ body: ([Int]) -> Double) { self.init(shape, allIndices(shape).map(body)) }

    subscript(index: [Int]) -> Double {
        get { values[flat(index, shape)] }
        set { values[flat(index, shape)] = newValue }
    }

    /// The element that broadcasting puts at `index` of a larger shape.
    func broadcast(_ index: [Int]) -> Double {
        self[zip(index.suffix(shape.count), shape).map { $1 == 1 ? 0 : $0 }]
    }

    func array(_ dtype: DType = .float64) -> NDArray { NDArray(values, shape: shape).converted(to: dtype) }
}

func flat(_ index: [Int], _ shape: [Int]) -> Int { zip(index, shape).reduce(0) { $0 * $1.1 + $1.0 } }

/// Every index tuple of `shape` in row-major order.
func allIndices(_ shape: [Int]) -> [[Int]] {
    shape.reduce([[]]) { indices, size in indices.flatMap { index in (0..<size).map { index + [$0] } } }
}

/// Numbers that depend on the seed alone, roughly normal.
func randomArray(_ shape: [Int], _ dtype: DType = .float64, seed: UInt64 = 1, scale: Double = 1) -> NDArray {
    var state = seed &* 0x9E37_79B9_7F4A_7C15
    func uniform() -> Double {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return Double((z ^ (z >> 31)) >> 11) * 0x1p-53
    }
    let values = (0..<shape.reduce(1, *)).map { _ in (uniform() + uniform() + uniform() + uniform() - 2) * scale * 1.7 }
    return NDArray(values, shape: shape).converted(to: dtype)
}

/// An array of PyTorch's, as `scripts/make_array_goldens.py` stores it.
struct StoredArray: Decodable {
    let dtype: String
    let shape: [Int]
    let data: Data

    var array: NDArray {
        let type = DType.allCases.first { $0.description == dtype } ?? .float32
        var array = NDArray(uninitialized: shape, dtype: type)
        array.withUnsafeMutableBytes { target in _ = data.copyBytes(to: target) }
        return array
    }
}

/// One file of `Tests/Fixtures/arrays`.
struct Goldens<Case: Decodable>: Decodable {
    let cases: [Case]
}
