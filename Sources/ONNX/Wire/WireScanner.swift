import Files

/// Checks a model file's wire format before protobuf-c sees it, and takes the tensors' elements out.
///
/// protobuf-c recurses once per nested message, copies every `bytes` field and allocates before it knows what comes, so
/// a small hostile file can overflow the stack or the memory, and an honest one is held twice. The scan walks the same
/// schema iteratively and produces
/// - errors that name field and byte,
/// - a *skeleton*: the same model without the fields that hold tensor elements and without unknown fields. In it the
///   `raw_data` of every tensor is a number: the tensor's index in
/// - `payloads`, the places of the elements in the file, from which arrays are read or borrowed later.
///
/// Only the skeleton is unpacked. Export never packs it again: it patches the file's own bytes.
struct WireScanner {
    struct Result {
        var skeleton: [UInt8]
        var payloads: [TensorPayload]
    }

    private struct Frame {
        var message: WireSchema.Message
        var end: Int
        /// The field that holds this message; nil for the model itself.
        var field: WireSchema.Field?
        /// Where in the skeleton its length goes; nil for the model itself.
        var lengthOffset: Int?
        /// Fields met so far, one bit per number.
        var seen: UInt64 = 0
    }

    private let file: String
    private let limits: LoadLimits
    private let bytes: UnsafeRawBufferPointer
    private let schema = WireSchema.onnx
    private var stack: [Frame] = []
    private var skeleton: [UInt8] = []
    private var payloads: [TensorPayload] = []
    private var structureBytes = 0

    /// Bytes that protobuf-c keeps per field while it parses a message, and that an allocation costs beyond its size.
    private static let costPerField = 40
    private static let costPerAllocation = 16
    /// Bytes of the Swift value made of a message, and of the lists it passes through.
    private static let costPerMessage = 250

    static func scan(_ bytes: UnsafeRawBufferPointer, file: String, limits: LoadLimits) throws(ONNXError) -> Result {
        var scanner = WireScanner(file: file, limits: limits, bytes: bytes)
        try scanner.run()
        return Result(skeleton: scanner.skeleton, payloads: scanner.payloads)
    }

    private init(file: String, limits: LoadLimits, bytes: UnsafeRawBufferPointer) {
        self.file = file
        self.limits = limits
        self.bytes = bytes
    }

    private mutating func run() throws(ONNXError) {
        stack.append(Frame(message: schema.messages[0], end: bytes.count, field: nil, lengthOffset: nil))
        var cursor = WireCursor(bytes: bytes, position: 0, end: bytes.count)
        while !stack.isEmpty {
            let end = stack[stack.count - 1].end
            guard cursor.position < end else {
                leave()
                continue
            }
            cursor.end = end
            try field(&cursor)
        }
    }

    private mutating func field(_ cursor: inout WireCursor) throws(ONNXError) {
        let start = cursor.position
        let top = stack.count - 1
        let message = stack[top].message
        let tag: (field: UInt32, type: WireType)
        do throws(WireProblem) { tag = try cursor.tag() } catch { throw self.error(error, at: start, field: nil) }
        let valueStart = cursor.position
        let range: Range<Int>
        do throws(WireProblem) {
            range = try cursor.value(of: tag.type)
        } catch {
            throw self.error(error, at: start, field: (message.field(tag.field)?.name ?? "unknown", tag.field))
        }
        try spend(WireScanner.costPerField, at: start)
        // Fields that this schema does not know stay in the file; reading does not need them.
        guard let field = message.field(tag.field) else { return }
        try checkType(field, tag.type, at: start)
        if !field.isRepeated {
            let bit = UInt64(1) << UInt64(field.number)
            guard stack[top].seen & bit == 0 else {
                throw malformed(
                    "\(place())field \(field.name) (\(field.number)) at byte \(start) appears a second time")
            }
            stack[top].seen |= bit
        }
        if field.isPayload {
            try record(field, tag.type, value: range, start: start)
            return
        }
        switch field.kind {
        case .message(let index):
            try enter(index, field: field, tagRange: start..<valueStart, range: range)
            cursor.position = range.lowerBound
        case .string:
            try checkString(field, range, at: start)
            try spend(range.count + 8 + WireScanner.costPerAllocation, at: start)
            skeleton.append(contentsOf: bytes[start..<range.upperBound])
        case .bytes:
            try spend(range.count + 16 + WireScanner.costPerAllocation, at: start)
            skeleton.append(contentsOf: bytes[start..<range.upperBound])
        case .scalar(let scalar):
            // A varint of one byte becomes a number of eight.
            try spend(scalar == .varint ? 8 * max(1, range.count) : range.count, at: start)
            skeleton.append(contentsOf: bytes[start..<range.upperBound])
        }
    }

    // MARK: - Messages

    private mutating func enter(
        _ message: Int, field: WireSchema.Field, tagRange: Range<Int>, range: Range<Int>
    ) throws(ONNXError) {
        guard stack.count < limits.nesting else {
            throw ONNXError(
                file, .tooDeep,
                "\(stack.count + 1) messages nested in each other at byte \(tagRange.lowerBound), the limit is "
                    + "\(limits.nesting)")
        }
        let child = schema.messages[message]
        let cost = child.structSize + 8 + WireScanner.costPerAllocation + WireScanner.costPerMessage
        try spend(cost, at: tagRange.lowerBound)
        skeleton.append(contentsOf: bytes[tagRange])
        let lengthOffset = skeleton.count
        skeleton.append(contentsOf: repeatElement(0, count: WireScanner.lengthSize))
        if child.isTensor { payloads.append(TensorPayload()) }
        stack.append(Frame(message: child, end: range.upperBound, field: field, lengthOffset: lengthOffset))
    }

    private static let lengthSize = 5

    private mutating func leave() {
        let frame = stack.removeLast()
        guard let offset = frame.lengthOffset else { return }
        if frame.message.isTensor { appendPayloadIndex() }
        // A varint of fixed size: the length is known only now. Padding with zero groups is valid wire format.
        let length = skeleton.count - offset - WireScanner.lengthSize
        for index in 0..<WireScanner.lengthSize {
            let more: UInt8 = index < WireScanner.lengthSize - 1 ? 0x80 : 0
            skeleton[offset + index] = UInt8(truncatingIfNeeded: length >> (7 * index)) & 0x7F | more
        }
    }

    /// Ends a tensor of the skeleton. Tensors do not nest, so the one that ends is the last that began.
    private mutating func appendPayloadIndex() {
        let index = UInt32(payloads.count - 1)
        skeleton.appendTag(UInt32(TensorPayload.Form.raw.rawValue), .lengthDelimited)
        skeleton.append(4)
        for shift in stride(from: 0, to: 32, by: 8) { skeleton.append(UInt8(truncatingIfNeeded: index >> shift)) }
    }

    // MARK: - Tensor elements

    private mutating func record(
        _ field: WireSchema.Field, _ type: WireType, value: Range<Int>, start: Int
    ) throws(ONNXError) {
        guard let form = TensorPayload.Form(rawValue: UInt8(truncatingIfNeeded: field.number)) else { return }
        let isPacked = type == .lengthDelimited && form != .string
        let piece = TensorPayload.Piece(
            form: form, isPacked: isPacked, range: isPacked ? value : start..<value.upperBound)
        let last = payloads.count - 1
        if !isPacked, let previous = payloads[last].pieces.last, previous.form == form, !previous.isPacked,
            previous.range.upperBound == start
        {
            payloads[last].pieces[payloads[last].pieces.count - 1].range = previous.range.lowerBound..<value.upperBound
            return
        }
        try spend(MemoryLayout<TensorPayload.Piece>.stride * 2, at: start)
        payloads[last].pieces.append(piece)
    }

    // MARK: - Checks

    private func checkType(_ field: WireSchema.Field, _ type: WireType, at start: Int) throws(ONNXError) {
        let expected: WireType
        switch field.kind {
        case .scalar(let scalar):
            if type == scalar || (field.isRepeated && type == .lengthDelimited) { return }
            expected = scalar
        case .message, .string, .bytes:
            if type == .lengthDelimited { return }
            expected = .lengthDelimited
        }
        throw malformed(
            "\(place())field \(field.name) (\(field.number)) at byte \(start) is \(type.name), expected \(expected.name)"
        )
    }

    /// C strings end at the first NUL, and what is not UTF-8 is replaced: two names that differ only there would become
    /// equal. Documentation is not told apart by its text.
    private func checkString(_ field: WireSchema.Field, _ range: Range<Int>, at start: Int) throws(ONNXError) {
        func refusal(_ reason: String) -> ONNXError {
            malformed("\(place())field \(field.name) (\(field.number)) at byte \(start) \(reason)")
        }
        guard !bytes[range].contains(0) else { throw refusal("contains a NUL byte") }
        guard field.name == "doc_string" || String(validating: bytes[range], as: UTF8.self) != nil else {
            throw refusal("is not UTF-8")
        }
    }

    private mutating func spend(_ cost: Int, at start: Int) throws(ONNXError) {
        structureBytes += cost
        guard structureBytes <= limits.structureBytes else {
            throw ONNXError(
                file, .overBudget,
                "the parts before byte \(start) alone need more memory than the limit of \(limits.structureBytes) bytes"
            )
        }
    }

    private func malformed(_ reason: String) -> ONNXError {
        ONNXError(file, .malformed, "damaged or not an ONNX model: \(reason)")
    }

    /// The enclosing messages, such as `graph.node: `.
    private func place() -> String {
        stack.count <= 1 ? "" : stack.compactMap { $0.field?.name }.joined(separator: ".") + ": "
    }

    private func error(_ problem: WireProblem, at start: Int, field: (name: String, number: UInt32)?) -> ONNXError {
        let what = field.map { "field \($0.name) (\($0.number)) at byte \(start)" } ?? "byte \(start)"
        // Whatever runs into the end of the file, rather than into the end of an enclosing message, was cut off.
        let reachesEnd = stack.last?.end == bytes.count
        switch problem {
        case .exceeds(let length, let remaining):
            let reason = "\(place())\(what) says \(length) bytes, \(remaining) remain"
            return reachesEnd ? ONNXError(file, .truncated, "truncated: \(reason)") : malformed(reason)
        case .endsInsideVarint:
            let reason = "\(place())the number in \(what) is cut off"
            return reachesEnd ? ONNXError(file, .truncated, "truncated: \(reason)") : malformed(reason)
        case .varintTooLong: return malformed("\(place())the number in \(what) has more than ten bytes")
        case .badTag(let tag): return malformed("\(place())\(what) is no field (tag \(tag))")
        case .group: return malformed("\(place())\(what) is a group, which ONNX does not have")
        }
    }
}
