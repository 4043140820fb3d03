import Files
import TensorCore

/// A change to one tensor of the file.
struct TensorEdit {
    enum Elements {
        /// As they are in the file.
        case kept
        case array(NDArray)
        case fileBytes(FileBytes, Range<Int>)
    }

    enum Storage: Equatable {
        /// The field that held the elements before; `raw_data` when none did.
        case same
        case raw
        case external(ExternalLocation)
    }

    var elements: Elements
    var storage: Storage
    /// New dims, or nil to keep them.
    var dims: [Int]?

    /// Changes the fields of `message`, which is `tensor`.
    func apply(to message: inout WireMessage, tensor: TensorProto) throws {
        if let dims { TensorEdit.setDims(dims, in: &message) }
        switch storage {
        case .same:
            guard case .array(let array) = elements else { return }
            let form = tensor.storedForm ?? .raw
            setPayload(TensorEdit.part(array, form: form), in: &message)
        case .raw:
            clearLocation(in: &message)
            switch elements {
            case .kept: break
            case .array(let array): setPayload(TensorEdit.part(array, form: .raw), in: &message)
            case .fileBytes(let file, let range):
                setPayload(
                    .fileBytes(field: UInt32(TensorPayload.Form.raw.rawValue), file, range), in: &message)
            }
        case .external(let location):
            setPayload(.encoded([]), in: &message)
            setLocation(location, tensor: tensor, in: &message)
        }
    }

    private static func setDims(_ dims: [Int], in message: inout WireMessage) {
        let positions = message.positions(of: FieldNumber.Tensor.dims)
        let encoded = WireEncoder { encoder in
            for dim in dims { encoder.int(FieldNumber.Tensor.dims, Int64(dim)) }
        }
        for position in positions { message.remove(at: position) }
        if let first = positions.first {
            message.replace(at: first, with: .encoded(encoded.bytes))
        } else {
            message.insert(.encoded(encoded.bytes), at: 0)
        }
    }

    /// Puts `part` where the first of the element fields is and removes the others.
    private func setPayload(_ part: WireMessage.Part, in message: inout WireMessage) {
        let positions = TensorPayload.Form.allCases.flatMap { message.positions(of: UInt32($0.rawValue)) }.sorted()
        for position in positions { message.remove(at: position) }
        if let first = positions.first {
            message.replace(at: first, with: part)
        } else {
            message.append(part)
        }
    }

    /// The elements as a field of TensorProto.
    static func part(_ array: NDArray, form: TensorPayload.Form) -> WireMessage.Part {
        let field = UInt32(form.rawValue)
        switch form {
        // Packed fixed-size numbers are the elements' own little-endian bytes.
        case .raw, .float, .double: return .elements(field: field, array)
        case .int32, .int64, .uint64, .string:
            var payload: [UInt8] = []
            for bits in varints(of: array) { payload.appendVarint(bits) }
            return .encoded(WireEncoder { $0.data(field, payload) }.bytes)
        }
    }

    private static func varints(of array: NDArray) -> [UInt64] {
        func signed<T: Scalar & BinaryInteger>(_ type: T.Type) -> [UInt64] {
            array.withElements(as: type) { $0.map { UInt64(bitPattern: Int64($0)) } }
        }
        switch array.dtype {
        case .float16: return array.withElements(as: Float16Bits.self) { $0.map { UInt64($0.bitPattern) } }
        case .bfloat16: return array.withElements(as: BFloat16.self) { $0.map { UInt64($0.bitPattern) } }
        case .bool: return array.withElements(as: Bool.self) { $0.map { $0 ? 1 : 0 } }
        case .uint64: return array.elements(as: UInt64.self)
        case .int8: return signed(Int8.self)
        case .int16: return signed(Int16.self)
        case .int32: return signed(Int32.self)
        case .int64: return signed(Int64.self)
        case .uint8: return signed(UInt8.self)
        case .uint16: return signed(UInt16.self)
        case .uint32: return signed(UInt32.self)
        case .float32, .float64: preconditionFailure("floats have no varint form")
        }
    }

    // MARK: - External data

    private func clearLocation(in message: inout WireMessage) {
        for field in [FieldNumber.Tensor.externalData, FieldNumber.Tensor.dataLocation] {
            for position in message.positions(of: field) { message.remove(at: position) }
        }
    }

    /// Other keys than the three stay, but for a checksum of bytes that are no longer those.
    private func setLocation(_ location: ExternalLocation, tensor: TensorProto, in message: inout WireMessage) {
        var entries = tensor.externalData.filter { $0.key != "checksum" }
        func set(_ key: String, _ value: String) {
            if let index = entries.firstIndex(where: { $0.key == key }) {
                entries[index].value = value
            } else {
                entries.append(StringStringEntryProto(key: key, value: value))
            }
        }
        set("location", location.location)
        set("offset", "\(location.offset)")
        set("length", "\(location.length ?? 0)")
        let encoded = WireEncoder { encoder in
            for entry in entries {
                encoder.message(FieldNumber.Tensor.externalData) {
                    $0.text(FieldNumber.Entry.key, entry.key)
                    $0.text(FieldNumber.Entry.value, entry.value)
                }
            }
            encoder.int(FieldNumber.Tensor.dataLocation, 1)
        }
        clearLocation(in: &message)
        message.append(.encoded(encoded.bytes))
    }
}

extension TensorProto {
    /// The field that holds the elements in the file, where one does.
    var storedForm: TensorPayload.Form? {
        guard case .file(_, let payload) = content else { return nil }
        return (payload.pieces.first { !$0.range.isEmpty } ?? payload.pieces.first)?.form
    }

    /// Bytes of the elements when they are stored raw. Throws for strings and unknown types.
    func rawByteCount() throws -> Int {
        guard let bits = dataType.bitsPerElement else {
            throw error(.unsupported, "elements of type \(dataType) have no fixed size")
        }
        return (elementCount(try shape()) * bits + 7) / 8
    }
}
