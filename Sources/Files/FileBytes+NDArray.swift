import TensorCore

extension FileBytes {
    /// The little-endian elements in `range` as an array.
    ///
    /// Aligned elements are borrowed: the array keeps this object alive and copies nothing. Others are copied and the
    /// mapped pages under them released. Bytes of a bool other than 0 and 1 become 1.
    ///
    /// `range` must lie inside the file and hold exactly the elements of `shape`.
    public func array(in range: Range<Int>, shape: [Int], dtype: DType) -> NDArray {
        precondition(range.lowerBound >= 0 && range.upperBound <= count, "range outside the file")
        let bytes = UnsafeRawBufferPointer(rebasing: unsafeBytes[range])
        let isAligned = UInt(bitPattern: bytes.baseAddress) % UInt(dtype.size) == 0
        let isNativeOrder = dtype.size == 1 || 1.littleEndian == 1
        if isAligned && isNativeOrder && dtype != .bool {
            return NDArray(storage: Storage(borrowing: bytes, owner: self), shape: shape, dtype: dtype)
        }
        defer { releasePages(of: range) }
        return withExtendedLifetime(self) { NDArray(copyingLittleEndian: bytes, shape: shape, dtype: dtype) }
    }
}

extension NDArray {
    /// Copies little-endian elements; `bytes` must hold exactly those of `shape`.
    public init(copyingLittleEndian bytes: UnsafeRawBufferPointer, shape: [Int], dtype: DType) {
        self.init(uninitialized: shape, dtype: dtype)
        precondition(bytes.count == byteCount, "\(bytes.count) bytes do not fill \(shape) of \(dtype)")
        withUnsafeMutableBytes { target in
            target.copyMemory(from: bytes)
            if dtype == .bool {
                for index in target.indices where target[index] > 1 { target[index] = 1 }
            }
            target.swapToLittleEndian(elementSize: dtype.size)
        }
    }

    /// Lends the elements as little-endian bytes.
    public func withLittleEndianBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
        if dtype.size == 1 || 1.littleEndian == 1 { return try withUnsafeBytes(body) }
        var copy = self
        return try copy.withUnsafeMutableBytes { bytes in
            bytes.swapToLittleEndian(elementSize: dtype.size)
            return try body(UnsafeRawBufferPointer(bytes))
        }
    }
}

extension UnsafeMutableRawBufferPointer {
    /// Reverses the bytes of every element on a big-endian machine; does nothing elsewhere.
    fileprivate func swapToLittleEndian(elementSize: Int) {
        guard elementSize > 1 && 1.littleEndian != 1 else { return }
        for start in stride(from: 0, to: count, by: elementSize) {
            self[start..<start + elementSize].reverse()
        }
    }
}
