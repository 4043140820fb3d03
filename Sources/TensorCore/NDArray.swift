/// An n-dimensional array of numbers: a value with shape, element type and copy-on-write storage, without autograd.
///
/// Elements lie contiguously in row-major order. A reshape or a slice along the first axis shares storage; every other
/// rearrangement copies.
public struct NDArray: Sendable {
    public let dtype: DType
    public let shape: [Int]
    /// Number of elements: the product of `shape`, 1 for a scalar.
    public let count: Int
    @usableFromInline var storage: Storage
    @usableFromInline var byteOffset: Int

    /// Views `storage` from `byteOffset` on.
    public init(storage: Storage, byteOffset: Int = 0, shape: [Int], dtype: DType) {
        let count = elementCount(shape)
        precondition(
            byteOffset >= 0 && byteOffset + count * dtype.size <= storage.byteCount,
            "shape \(shape) of \(dtype) does not fit into \(storage.byteCount) bytes")
        self.dtype = dtype
        self.shape = shape
        self.count = count
        self.storage = storage
        self.byteOffset = byteOffset
    }

    /// Memory whose content is undefined until written.
    public init(uninitialized shape: [Int], dtype: DType) {
        self.init(uninitialized: shape, count: elementCount(shape), dtype: dtype)
    }

    /// As `init(uninitialized:dtype:)` where the product of `shape` is known to be `count`.
    init(uninitialized shape: [Int], count: Int, dtype: DType) {
        self.dtype = dtype
        self.shape = shape
        self.count = count
        self.storage = Storage(byteCount: count * dtype.size)
        self.byteOffset = 0
    }

    /// Bytes of the elements.
    @inlinable public var byteCount: Int { count * dtype.size }
    /// Number of axes.
    @inlinable public var rank: Int { shape.count }
}

/// Product of the dimensions; 1 for `[]`.
@inlinable public func elementCount(_ shape: [Int]) -> Int {
    var count = 1
    var overflows = false
    for dimension in shape {
        if dimension < 0 { refuse(shape) }
        let (product, overflow) = count.multipliedReportingOverflow(by: dimension)
        overflows = overflows || overflow
        count = product
    }
    // An empty axis makes 0 of any other sizes.
    if overflows && !shape.contains(0) { refuse(shape) }
    return count
}

/// Stops over a shape that no array can have.
@usableFromInline func refuse(_ shape: [Int]) -> Never {
    mistake("no array has the shape \(shape): sizes must not be negative, nor their product beyond memory")
}

// MARK: - Creation

extension NDArray {
    /// Copies `values`, given in row-major order, into an array of `shape`.
    public init<T: Scalar>(_ values: [T], shape: [Int]) {
        self.init(uninitialized: shape, dtype: T.dtype)
        demand(values.count == count, "\(values.count) values do not fill shape \(shape)")
        values.withUnsafeBytes { source in
            if let base = source.baseAddress { storage.pointer.copyMemory(from: base, byteCount: byteCount) }
        }
    }

    /// A one-dimensional array.
    public init<T: Scalar>(_ values: [T]) { self.init(values, shape: [values.count]) }

    /// A zero-dimensional array.
    public init<T: Scalar>(scalar value: T) { self.init([value], shape: []) }

    /// A zero-dimensional array of `dtype`.
    public init(scalar value: Double, dtype: DType) { self = NDArray.full([], value, dtype: dtype) }

    /// An array of zeros.
    public static func zeros(_ shape: [Int], dtype: DType = .float32) -> NDArray {
        let array = NDArray(uninitialized: shape, dtype: dtype)
        // All-zero bytes are the number zero in every element type.
        array.storage.pointer.initializeMemory(as: UInt8.self, repeating: 0, count: array.byteCount)
        return array
    }

    /// An array of ones.
    public static func ones(_ shape: [Int], dtype: DType = .float32) -> NDArray { full(shape, 1, dtype: dtype) }

    /// Every element is `value`, converted to `dtype`.
    public static func full(_ shape: [Int], _ value: Double, dtype: DType = .float32) -> NDArray {
        func fill<T: Scalar>(_ element: T) -> NDArray {
            var array = NDArray(uninitialized: shape, dtype: T.dtype)
            array.withMutableElements(as: T.self) { $0.update(repeating: element) }
            return array
        }
        switch dtype {
        case .float32: return fill(Float(value))
        case .float64: return fill(value)
        case .float16: return fill(Float16Bits(Float(value)))
        case .bfloat16: return fill(BFloat16(Float(value)))
        case .int8: return fill(Int8(converting: value))
        case .int16: return fill(Int16(converting: value))
        case .int32: return fill(Int32(converting: value))
        case .int64: return fill(Int64(converting: value))
        case .uint8: return fill(UInt8(converting: value))
        case .uint16: return fill(UInt16(converting: value))
        case .uint32: return fill(UInt32(converting: value))
        case .uint64: return fill(UInt64(converting: value))
        case .bool: return fill(value != 0)
        }
    }
}

// MARK: - Access

extension NDArray {
    /// Reads the elements; `T` must match `dtype`.
    @inlinable
    public func withElements<T: Scalar, R>(as type: T.Type, _ body: (UnsafeBufferPointer<T>) throws -> R) rethrows -> R
    {
        precondition(T.dtype == dtype, "array of \(dtype) read as \(T.dtype)")
        defer { withExtendedLifetime(storage) {} }
        let base = (storage.pointer + byteOffset).assumingMemoryBound(to: T.self)
        return try body(UnsafeBufferPointer(start: base, count: count))
    }

    /// Writes the elements in place, copying first when the storage is shared; `T` must match `dtype`.
    @inlinable
    public mutating func withMutableElements<T: Scalar, R>(
        as type: T.Type, _ body: (UnsafeMutableBufferPointer<T>) throws -> R
    ) rethrows -> R {
        precondition(T.dtype == dtype, "array of \(dtype) written as \(T.dtype)")
        makeUnique()
        defer { withExtendedLifetime(storage) {} }
        let base = (storage.pointer + byteOffset).assumingMemoryBound(to: T.self)
        return try body(UnsafeMutableBufferPointer(start: base, count: count))
    }

    @inlinable
    /// Lends the elements as bytes, in the order of the machine.
    public func withUnsafeBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
        defer { withExtendedLifetime(storage) {} }
        return try body(UnsafeRawBufferPointer(start: storage.pointer + byteOffset, count: byteCount))
    }

    @inlinable
    /// Lends the elements as bytes that may be changed.
    public mutating func withUnsafeMutableBytes<R>(
        _ body: (UnsafeMutableRawBufferPointer) throws -> R
    ) rethrows -> R {
        makeUnique()
        defer { withExtendedLifetime(storage) {} }
        return try body(UnsafeMutableRawBufferPointer(start: storage.pointer + byteOffset, count: byteCount))
    }

    /// True when both share memory: writing one in place would copy.
    public func sharesStorage(with other: NDArray) -> Bool { storage === other.storage }

    @usableFromInline mutating func makeUnique() {
        if isKnownUniquelyReferenced(&storage) && storage.isOwning { return }
        let copy = Storage(byteCount: byteCount)
        copy.pointer.copyMemory(from: storage.pointer + byteOffset, byteCount: byteCount)
        storage = copy
        byteOffset = 0
    }

    /// The elements in row-major order; `T` must match `dtype`.
    public func elements<T: Scalar>(as type: T.Type) -> [T] { withElements(as: type) { Array($0) } }

    /// The only element of a one-element array, as a `Double`.
    public func item() -> Double {
        demand(count == 1, "item() needs exactly one element, shape is \(shape)")
        return doubles()[0]
    }

    /// Every element converted to `Double`, in row-major order.
    public func doubles() -> [Double] {
        switch dtype {
        case .float32: withElements(as: Float.self) { $0.map { Double($0) } }
        case .float64: elements(as: Double.self)
        case .float16: withElements(as: Float16Bits.self) { $0.map { Double($0.floatValue) } }
        case .bfloat16: withElements(as: BFloat16.self) { $0.map { Double($0.floatValue) } }
        case .int8: withElements(as: Int8.self) { $0.map { Double($0) } }
        case .int16: withElements(as: Int16.self) { $0.map { Double($0) } }
        case .int32: withElements(as: Int32.self) { $0.map { Double($0) } }
        case .int64: withElements(as: Int64.self) { $0.map { Double($0) } }
        case .uint8: withElements(as: UInt8.self) { $0.map { Double($0) } }
        case .uint16: withElements(as: UInt16.self) { $0.map { Double($0) } }
        case .uint32: withElements(as: UInt32.self) { $0.map { Double($0) } }
        case .uint64: withElements(as: UInt64.self) { $0.map { Double($0) } }
        case .bool: withElements(as: Bool.self) { $0.map { $0 ? 1 : 0 } }
        }
    }

    /// Every element of an integer or bool array as `Int`, in row-major order: shapes, axes, indices.
    public func integers() -> [Int] {
        switch dtype {
        case .int64: withElements(as: Int64.self) { $0.map { Int($0) } }
        case .int32: withElements(as: Int32.self) { $0.map { Int($0) } }
        case .bool: withElements(as: Bool.self) { $0.map { $0 ? 1 : 0 } }
        default: doubles().map { Int(converting: $0) }
        }
    }
}

// MARK: - Views that share storage

extension NDArray {
    /// The same elements under another shape of equal count.
    public func reshaped(_ newShape: [Int]) -> NDArray {
        demand(elementCount(newShape) == count, "cannot reshape \(shape) to \(newShape)")
        return NDArray(storage: storage, byteOffset: byteOffset, shape: newShape, dtype: dtype)
    }

    /// Rows `range` along the first axis.
    public func rows(_ range: Range<Int>) -> NDArray {
        demand(rank > 0 && range.lowerBound >= 0 && range.upperBound <= shape[0], "rows \(range) of \(shape)")
        let rowBytes = shape[0] == 0 ? 0 : byteCount / shape[0]
        return NDArray(
            storage: storage, byteOffset: byteOffset + range.lowerBound * rowBytes,
            shape: [range.count] + shape.dropFirst(), dtype: dtype)
    }
}

extension NDArray {
    /// Equal shape, element type and bytes; NaN payloads and the sign of zero count.
    public func isBitIdentical(to other: NDArray) -> Bool {
        guard dtype == other.dtype, shape == other.shape else { return false }
        return withUnsafeBytes { a in other.withUnsafeBytes { b in equalBytes(a, b) } }
    }
}
