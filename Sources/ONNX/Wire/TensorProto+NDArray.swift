import Files
import TensorCore

extension TensorProto {
    /// The elements as an array of the tensor's own type, checked before use.
    ///
    /// Elements in `raw_data`, packed `float_data` or `double_data`, or another file are borrowed from the mapped file
    /// when they are aligned; all others are copied.
    ///
    /// Throws `ONNXError` naming the tensor when dims are negative, overflow or do not match the elements, when elements
    /// are stored in several ways or in a field that does not fit their type, when the type cannot be computed with, and
    /// when external data is missing, out of bounds or not where it may be.
    public func array() throws -> NDArray {
        if case .memory(let array) = content { return array }
        let (shape, dtype) = try checkedShape()
        switch content {
        case .memory(let array): return array
        case .contradictory(_, let reason): throw error(.invalidTensor, reason)
        case .external(let source):
            let (bytes, range) = try externalRange(byteCount: elementCount(shape) * dtype.size, source: source)
            return bytes.array(in: range, shape: shape, dtype: dtype)
        case .file(let source, let payload):
            return try read(payload, from: source.model, shape: shape, dtype: dtype)
        }
    }

    /// An array of the tensor's shape and type, checked as `array` checks it, whose elements are zeros where reading them would
    /// take memory: for those who want to know what a file holds.
    ///
    /// - Parameter wanted: the type of floating-point elements, if not their own.
    func outline(as wanted: DType?) throws -> NDArray {
        guard let dtype = dataType.dtype, dtype.isFloatingPoint else { return try array() }
        func whole() throws -> NDArray {
            let array = try array()
            return wanted.map { $0 == dtype ? array : array.converted(to: $0) } ?? array
        }
        let shape = try shape()
        let byteCount = elementCount(shape) * dtype.size
        switch content {
        case .external(let source) where byteCount >= TensorProto.outlinedBytes:
            _ = try externalRange(byteCount: byteCount, source: source)
        case .file(_, let payload) where byteCount >= TensorProto.outlinedBytes:
            guard let piece = payload.pieces.first, payload.pieces.count == 1, piece.isPacked,
                piece.form == .raw || piece.form == dataType.typedForm && piece.form.hasFixedSize
            else { return try whole() }
            try checkByteCount(piece.range.count, shape: shape, dtype: dtype, form: piece.form)
        default: return try whole()
        }
        do throws(FileError) { return try NDArray(blank: shape, dtype: wanted ?? dtype) } catch {
            throw self.error(.overBudget, "no memory for \(byteCount) bytes")
        }
    }

    /// Smaller tensors are read all the same: shapes may follow from what they hold.
    private static let outlinedBytes = 1 << 14

    /// The dims as a shape. Throws when one is negative or their product overflows.
    public func shape() throws -> [Int] {
        let shape = dims.map { Int($0) }
        guard checkedElementCount(shape, bytesPerElement: dataType.dtype?.size ?? 16) != nil else {
            throw error(.invalidTensor, "dims \(dims) are \(dims.contains { $0 < 0 } ? "negative" : "too large")")
        }
        return shape
    }

    private func checkedShape() throws -> (shape: [Int], dtype: DType) {
        guard let dtype = dataType.dtype else {
            throw error(.unsupported, "elements of type \(dataType) cannot be computed with")
        }
        return (try shape(), dtype)
    }

    /// How messages call the tensor.
    var label: String { name.isEmpty ? "unnamed tensor" : "tensor '\(name)'" }

    func error(_ kind: ONNXError.Kind, _ reason: String) -> ONNXError {
        let file =
            switch content {
            case .file(let source, _), .external(let source), .contradictory(let source, _): source.model.path
            case .memory: "memory"
            }
        return ONNXError(file, kind, "\(label): \(reason)")
    }

    // MARK: - Elements in the model

    private func read(_ payload: TensorPayload, from file: FileBytes, shape: [Int], dtype: DType) throws -> NDArray {
        let filled = payload.pieces.filter { !$0.range.isEmpty }
        let forms = Set((filled.isEmpty ? payload.pieces : filled).map(\.form))
        guard forms.count <= 1 else {
            let names = forms.map(\.fieldName).sorted().joined(separator: " and ")
            throw error(.invalidTensor, "elements are stored several times: \(names)")
        }
        let form = forms.first ?? .raw
        guard form == .raw || form == dataType.typedForm else {
            throw error(.invalidTensor, "elements of type \(dataType) in \(form.fieldName)")
        }
        if form.hasFixedSize, filled.count <= 1, filled.first?.isPacked ?? true {
            let range = filled.first?.range ?? 0..<0
            try checkByteCount(range.count, shape: shape, dtype: dtype, form: form)
            return file.array(in: range, shape: shape, dtype: dtype)
        }
        return try file.withUnsafeBytes { bytes in
            try collect(filled, bytes: bytes, shape: shape, dtype: dtype)
        }
    }

    private func checkByteCount(_ byteCount: Int, shape: [Int], dtype: DType, form: TensorPayload.Form) throws {
        let expected = elementCount(shape) * dtype.size
        guard byteCount == expected else {
            throw error(
                .invalidTensor,
                "\(form.fieldName) holds \(byteCount) bytes, dims \(shape) of \(dataType) need \(expected)")
        }
    }

    /// Copies elements out of typed fields.
    private func collect(
        _ pieces: [TensorPayload.Piece], bytes: UnsafeRawBufferPointer, shape: [Int], dtype: DType
    ) throws -> NDArray {
        let count = elementCount(shape)
        // No element takes less than a byte; checked before anything is allocated.
        let available = pieces.reduce(0) { $0 + $1.range.count }
        guard count <= available else {
            throw countError(form: pieces.first?.form, "at most \(available)", shape: shape)
        }
        switch dtype {
        case .float32: return try gather(pieces, bytes, shape) { Float(bitPattern: UInt32(truncatingIfNeeded: $0)) }
        case .float64: return try gather(pieces, bytes, shape) { Double(bitPattern: $0) }
        case .int64: return try gather(pieces, bytes, shape) { Int64(bitPattern: $0) }
        case .uint64: return try gather(pieces, bytes, shape) { $0 }
        case .uint32: return try gather(pieces, bytes, shape) { UInt32(exactly: $0) }
        // The rest is in int32_data, whose upper half protobuf ignores.
        case .int32: return try gather(pieces, bytes, shape) { int32($0) }
        case .int16: return try gather(pieces, bytes, shape) { Int16(exactly: int32($0)) }
        case .int8: return try gather(pieces, bytes, shape) { Int8(exactly: int32($0)) }
        case .uint16: return try gather(pieces, bytes, shape) { UInt16(exactly: int32($0)) }
        case .uint8: return try gather(pieces, bytes, shape) { UInt8(exactly: int32($0)) }
        case .bool: return try gather(pieces, bytes, shape) { int32($0) != 0 }
        case .float16:
            return try gather(pieces, bytes, shape) { UInt16(exactly: int32($0)).map(Float16Bits.init(bitPattern:)) }
        case .bfloat16:
            return try gather(pieces, bytes, shape) { UInt16(exactly: int32($0)).map(BFloat16.init(bitPattern:)) }
        }
    }

    /// Reads exactly the elements of `shape`; `convert` returns nil for a number that the type cannot hold.
    private func gather<T: Scalar>(
        _ pieces: [TensorPayload.Piece], _ bytes: UnsafeRawBufferPointer, _ shape: [Int], _ convert: (UInt64) -> T?
    ) throws -> NDArray {
        var array = NDArray(uninitialized: shape, dtype: T.dtype)
        var filled = 0
        try array.withMutableElements(as: T.self) { target in
            for piece in pieces {
                var cursor = WireCursor(bytes: bytes, position: piece.range.lowerBound, end: piece.range.upperBound)
                while !cursor.isAtEnd {
                    guard let bits = TensorProto.next(&cursor, piece) else {
                        throw error(.invalidTensor, "\(piece.form.fieldName) ends inside a number")
                    }
                    guard filled < target.count else {
                        throw countError(form: piece.form, "more than \(filled)", shape: shape)
                    }
                    guard let element = convert(bits) else {
                        throw error(.invalidTensor, "\(piece.form.fieldName) holds a number that \(dataType) cannot")
                    }
                    target[filled] = element
                    filled += 1
                }
            }
        }
        guard filled == array.count else { throw countError(form: pieces.first?.form, "\(filled)", shape: shape) }
        return array
    }

    /// The bits of the next element, or nil when the piece ends inside it.
    private static func next(_ cursor: inout WireCursor, _ piece: TensorPayload.Piece) -> UInt64? {
        if !piece.isPacked { guard (try? cursor.tag()) != nil else { return nil } }
        switch piece.form.wireType {
        case .varint: return try? cursor.varint()
        case .fixed32:
            guard let range = try? cursor.value(of: .fixed32) else { return nil }
            return UInt64(
                UInt32(littleEndian: cursor.bytes.loadUnaligned(fromByteOffset: range.lowerBound, as: UInt32.self)))
        case .fixed64:
            guard let range = try? cursor.value(of: .fixed64) else { return nil }
            return UInt64(littleEndian: cursor.bytes.loadUnaligned(fromByteOffset: range.lowerBound, as: UInt64.self))
        case .lengthDelimited, .startGroup, .endGroup: return nil
        }
    }

    private func int32(_ bits: UInt64) -> Int32 { Int32(truncatingIfNeeded: bits) }

    private func countError(form: TensorPayload.Form?, _ got: String, shape: [Int]) -> ONNXError {
        error(
            .invalidTensor,
            "\(form?.fieldName ?? "no field") holds \(got) elements, dims \(shape) need \(elementCount(shape))")
    }

    // MARK: - Elements in another file

    /// The open file and the bytes in it that hold this tensor.
    func externalRange(byteCount: Int, source: ElementSource) throws -> (FileBytes, Range<Int>) {
        let place: ExternalLocation
        switch ExternalLocation.parse(externalData) {
        case .success(let parsed): place = parsed
        case .failure(let problem): throw error(.externalData, "external data: \(problem.reason)")
        }
        if let length = place.length, length != byteCount {
            throw error(
                .externalData, "external data: length \(length), dims \(dims) of \(dataType) need \(byteCount) bytes")
        }
        let bytes: FileBytes
        do throws(FileError) {
            bytes = try source.external(place.location)
        } catch {
            throw self.error(.externalData, "external data: \(error)")
        }
        let (end, overflow) = place.offset.addingReportingOverflow(byteCount)
        guard !overflow, end <= bytes.count else {
            throw error(
                .externalData,
                "external data: \(byteCount) bytes from offset \(place.offset) do not lie within \(bytes.path) "
                    + "of \(bytes.count) bytes")
        }
        return (bytes, place.offset..<end)
    }
}
