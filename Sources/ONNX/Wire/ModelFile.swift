import COnnx
import Files

/// A model file: its bytes, and what they say.
///
/// protobuf-c unpacks the structure only (`WireScanner`); tensors borrow their elements from the file. The bytes are kept
/// because export starts from them: a written model is the read one with some fields replaced.
public final class ModelFile: Sendable {
    /// The path it was read from.
    public let path: String
    public let model: ModelProto
    /// The file as it is on the disk.
    public let bytes: FileBytes
    public let limits: LoadLimits
    let source: ElementSource

    /// Reads and checks the model at `path`.
    ///
    /// The graph is checked as well (`ModelProto.validate`), tensors are checked when their arrays are asked for.
    /// `access` tells whether the file is mapped (nothing is read before it is needed) or copied to memory (independent
    /// of what happens to the file).
    ///
    /// Throws `ONNXError`, whose text begins with `path`.
    public static func read(
        _ path: String, limits: LoadLimits = .default, access: FileBytes.Access = .mapped
    ) throws -> ModelFile {
        let bytes: FileBytes
        do throws(FileError) {
            bytes = try FileBytes(path: path, limit: limits.fileBytes, access: access)
        } catch {
            throw ONNXError(error)
        }
        return try ModelFile(bytes: bytes, limits: limits, access: access)
    }

    /// Reads a model from bytes that are held already; external data is looked up in the folder of `bytes.path`.
    public convenience init(
        bytes: FileBytes, limits: LoadLimits = .default, access: FileBytes.Access = .mapped
    ) throws {
        try self.init(
            source: ElementSource(model: bytes, limits: limits, access: access), limits: limits)
    }

    init(source: ElementSource, limits: LoadLimits) throws {
        let bytes = source.model
        guard bytes.count <= limits.fileBytes else {
            throw ONNXError(FileError(bytes.path, .tooLarge(byteCount: bytes.count, limit: limits.fileBytes)))
        }
        let scan = try bytes.withUnsafeBytes { raw in
            if let refusal = FileKind.refusal(raw, file: bytes.path) { throw refusal }
            return try WireScanner.scan(raw, file: bytes.path, limits: limits)
        }
        let model = try ModelFile.unpack(scan, source: source, limits: limits)
        try model.validate(file: bytes.path)
        self.path = bytes.path
        self.bytes = bytes
        self.limits = limits
        self.source = source
        self.model = model
    }

    private static func unpack(
        _ scan: WireScanner.Result, source: ElementSource, limits: LoadLimits
    ) throws -> ModelProto {
        // The scan has already bounded what the messages need; slabs and rounding come on top.
        let arena = Arena(budget: 2 * limits.structureBytes)
        return try arena.withAllocator { allocator in
            guard let message = onnx__model_proto__unpack(allocator, scan.skeleton.count, scan.skeleton) else {
                throw arena.isExhausted
                    ? ONNXError(
                        source.model.path, .overBudget,
                        "its parts need more memory than the limit of \(limits.structureBytes) bytes")
                    : ONNXError(source.model.path, .malformed, "damaged: protobuf cannot unpack it")
            }
            return try ProtoReader(source: source, payloads: scan.payloads).model(message.pointee)
        }
    }
}
