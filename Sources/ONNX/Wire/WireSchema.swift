import COnnx

/// The schema as the scanner needs it, read once from the descriptors that protobuf-c generated.
struct WireSchema: Sendable {
    final class Message: Sendable {
        let name: String
        /// Bytes of the C struct that protobuf-c allocates.
        let structSize: Int
        let isTensor: Bool
        /// By field number; all of ONNX's are below 32.
        private let byNumber: [Field?]

        init(name: String, structSize: Int, isTensor: Bool, fields: [Field]) {
            var byNumber = [Field?](repeating: nil, count: Int(fields.map(\.number).max() ?? 0) + 1)
            for field in fields { byNumber[Int(field.number)] = field }
            precondition(byNumber.count <= 64, "the scanner's set of seen fields holds 64")
            self.name = name
            self.structSize = structSize
            self.isTensor = isTensor
            self.byNumber = byNumber
        }

        var fields: [Field] { byNumber.compactMap { $0 } }

        @inline(__always)
        func field(_ number: UInt32) -> Field? { number < byNumber.count ? byNumber[Int(number)] : nil }
    }

    final class Field: Sendable {
        let name: String
        let number: UInt32
        let kind: Kind
        let isRepeated: Bool
        /// Holds elements of a tensor.
        let isPayload: Bool

        init(name: String, number: UInt32, kind: Kind, isRepeated: Bool, isPayload: Bool) {
            self.name = name
            self.number = number
            self.kind = kind
            self.isRepeated = isRepeated
            self.isPayload = isPayload
        }
    }

    enum Kind: Sendable {
        case message(Int)
        case string
        case bytes
        case scalar(WireType)
    }

    /// The model is message 0.
    let messages: [Message]

    static let onnx = WireSchema(root: ft_onnx_model_descriptor())

    private init(root: UnsafePointer<ProtobufCMessageDescriptor>) {
        // Breadth first: `found` grows while it is walked.
        var found = [root]
        var indices = [root: 0]
        var messages: [Message] = []
        while messages.count < found.count {
            let descriptor = found[messages.count]
            let fields = (0..<Int(descriptor.pointee.n_fields)).map { index in
                let field = descriptor.pointee.fields[index]
                var child: Int?
                if field.type == PROTOBUF_C_TYPE_MESSAGE {
                    let pointer = field.descriptor.assumingMemoryBound(to: ProtobufCMessageDescriptor.self)
                    if indices[pointer] == nil {
                        indices[pointer] = found.count
                        found.append(pointer)
                    }
                    child = indices[pointer]
                }
                return Field(field, child: child, isTensor: descriptor == ft_onnx_tensor_descriptor())
            }
            messages.append(Message(descriptor, fields: fields))
        }
        self.messages = messages
    }
}

extension WireSchema.Message {
    fileprivate convenience init(
        _ descriptor: UnsafePointer<ProtobufCMessageDescriptor>, fields: [WireSchema.Field]
    ) {
        self.init(
            name: String(cString: descriptor.pointee.short_name), structSize: descriptor.pointee.sizeof_message,
            isTensor: descriptor == ft_onnx_tensor_descriptor(), fields: fields)
    }
}

extension WireSchema.Field {
    fileprivate convenience init(_ field: ProtobufCFieldDescriptor, child: Int?, isTensor: Bool) {
        let kind: WireSchema.Kind =
            switch field.type {
            case PROTOBUF_C_TYPE_MESSAGE: .message(child ?? 0)
            case PROTOBUF_C_TYPE_STRING: .string
            case PROTOBUF_C_TYPE_BYTES: .bytes
            case PROTOBUF_C_TYPE_FLOAT, PROTOBUF_C_TYPE_FIXED32, PROTOBUF_C_TYPE_SFIXED32: .scalar(.fixed32)
            case PROTOBUF_C_TYPE_DOUBLE, PROTOBUF_C_TYPE_FIXED64, PROTOBUF_C_TYPE_SFIXED64: .scalar(.fixed64)
            default: .scalar(.varint)
            }
        self.init(
            name: String(cString: field.name), number: field.id, kind: kind,
            isRepeated: field.label == PROTOBUF_C_LABEL_REPEATED,
            isPayload: isTensor && TensorPayload.Form(rawValue: UInt8(truncatingIfNeeded: field.id)) != nil)
    }
}
