import CKernels

extension DType {
    /// The same type's number in the C kernels; a test holds the two lists together.
    @inline(__always) var kernel: ft_dtype { ft_dtype(rawValue: UInt32(rawValue)) }

    /// `float16` and `bfloat16`: stored only, computed as `float32`.
    @inline(__always) var isHalf: Bool { self == .float16 || self == .bfloat16 }
}

/// Elements up to which a kernel stays on the calling thread.
let serialElements = 32_768

/// Calls `body(begin, end)` on pieces that cover `0 ..< length`, on the thread pool when there is more than `grain`.
@inline(__always)
func parallelRange(_ length: Int, grain: Int, _ body: (Int, Int) -> Void) {
    if length <= grain {
        if length > 0 { body(0, length) }
        return
    }
    parallelPieces(length, grain, body)
}

@inline(never)
private func parallelPieces(_ length: Int, _ grain: Int, _ body: (Int, Int) -> Void) {
    withoutActuallyEscaping(body) { body in
        withUnsafePointer(to: body) { context in
            ft_parallel_range(
                length, max(grain, 1),
                { context, begin, end in
                    context?.assumingMemoryBound(to: ((Int, Int) -> Void).self).pointee(begin, end)
                }, UnsafeMutableRawPointer(mutating: context))
        }
    }
}

/// Units of `elements` elements each that make up one serial piece of work.
@inline(__always)
func grain(elementsPerUnit elements: Int) -> Int { max(1, serialElements / max(1, elements)) }

extension NDArray {
    /// A new array that is no larger than an operand, whose elements `body` writes through the pointer.
    @inline(__always)
    static func produce(
        _ shape: [Int], _ dtype: DType, _ body: (UnsafeMutableRawPointer) throws -> Void
    ) rethrows -> NDArray {
        let array = NDArray(uninitialized: shape, dtype: dtype)
        try withExtendedLifetime(array.storage) { try body(array.storage.pointer) }
        return array
    }

    /// The elements' address, valid during `body`.
    @inline(__always)
    func read<R>(_ body: (UnsafeRawPointer) throws -> R) rethrows -> R {
        try withExtendedLifetime(storage) { try body(UnsafeRawPointer(storage.pointer + byteOffset)) }
    }

    /// The elements' address for writing, valid during `body`; shared storage is copied first.
    @inline(__always)
    mutating func write<R>(_ body: (UnsafeMutableRawPointer) throws -> R) rethrows -> R {
        makeUnique()
        return try withExtendedLifetime(storage) { try body(storage.pointer + byteOffset) }
    }

    /// `body` of this array in `float32`, back in this array's 16-bit type.
    func throughFloat32(_ body: (NDArray) throws -> NDArray) rethrows -> NDArray {
        try body(converted(to: .float32)).converted(to: dtype)
    }
}

extension UnsafeRawPointer {
    @inline(__always) var floats: UnsafePointer<Float> { assumingMemoryBound(to: Float.self) }
    @inline(__always) var doubles: UnsafePointer<Double> { assumingMemoryBound(to: Double.self) }
    @inline(__always) var int64s: UnsafePointer<Int64> { assumingMemoryBound(to: Int64.self) }
}

extension UnsafeMutableRawPointer {
    @inline(__always) var floats: UnsafeMutablePointer<Float> { assumingMemoryBound(to: Float.self) }
    @inline(__always) var doubles: UnsafeMutablePointer<Double> { assumingMemoryBound(to: Double.self) }
    @inline(__always) var int64s: UnsafeMutablePointer<Int64> { assumingMemoryBound(to: Int64.self) }
}

/// Product of dimensions; 1 for none.
@inline(__always)
func product(_ shape: some Sequence<Int>) -> Int { shape.reduce(1, *) }

/// `axes` counted from the front, in ascending order; throws when one is outside or given twice.
func normalizedAxes(_ axes: [Int], rank: Int, _ operation: String) throws -> [Int] {
    var result: [Int] = []
    for axis in axes {
        guard let position = normalizedAxis(axis, rank: rank) else {
            throw ShapeError(operation, "axis \(axis) is outside an array of \(rank) axes")
        }
        guard !result.contains(position) else { throw ShapeError(operation, "axis \(axis) is given twice") }
        result.append(position)
    }
    return result.sorted()
}

/// `axis` counted from the front; throws when it is outside.
func requireAxis(_ axis: Int, rank: Int, _ operation: String) throws -> Int {
    guard let position = normalizedAxis(axis, rank: rank) else {
        throw ShapeError(operation, "axis \(axis) is outside an array of \(rank) axes")
    }
    return position
}

/// Throws unless `array` is `float32` or `float64`.
func requireFloat(_ array: NDArray, _ operation: String) throws {
    guard array.dtype == .float32 || array.dtype == .float64 else {
        throw ShapeError(operation, "expected float32 or float64, got \(array.dtype)")
    }
}
