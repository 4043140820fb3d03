import CLibFuzzer
import FineTune

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// A model file: scan, unpack, validate, read every tensor, write it again. Whatever is read must be written unchanged.
func fuzz(_ input: UnsafeBufferPointer<UInt8>) {
    var limits = LoadLimits()
    limits.structureBytes = 16 << 20
    // The folder does not exist: external data is parsed and refused, no file is opened.
    let bytes = FileBytes(input, path: "/nonexistent/fuzz.onnx")
    guard let file = try? ModelFile(bytes: bytes, limits: limits) else { return }
    var hasExternal = false
    var changeable: TensorProto?
    for tensor in file.model.graph.initializers {
        hasExternal = hasExternal || tensor.isExternal
        guard let array = try? tensor.array() else { continue }
        _ = array.withUnsafeBytes { $0.reduce(0 as UInt8, ^) }
        if tensor.dataType == .float && array.count > 0 { changeable = changeable ?? tensor }
    }
    if !hasExternal, let same = try? file.serialized() {
        precondition(same.elementsEqual(input), "a model written without edits differs from the one that was read")
    }
    guard let tensor = changeable, let shape = try? tensor.shape() else { return }
    let new = NDArray.full(shape, 0.25)
    let edits = ModelEdits(tensors: [tensor.name: new], metadata: ["fuzz": "1"])
    guard let written = try? file.serialized(edits: edits) else { return }
    guard let copy = try? ModelFile(bytes: FileBytes(written, path: "/nonexistent/copy.onnx"), limits: limits),
        let read = copy.model.graph.initializers.first(where: { $0.name == tensor.name })
    else { preconditionFailure("a written model does not read back") }
    precondition((try? read.array().isBitIdentical(to: new)) == true, "a written tensor does not read back")
}

func run() -> CInt {
    var count = CommandLine.argc
    var arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = CommandLine.unsafeArgv
    return LLVMFuzzerRunDriver(&count, &arguments) { data, count in
        fuzz(UnsafeBufferPointer(start: data, count: count))
        return 0
    }
}

exit(run())
