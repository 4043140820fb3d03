import CLibFuzzer
import FineTune

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// A safetensors file: check the header, read every tensor.
func fuzz(_ input: UnsafeBufferPointer<UInt8>) {
    guard let file = try? SafetensorsFile(bytes: FileBytes(input, path: "fuzz.safetensors")) else { return }
    for name in file.names {
        guard let array = try? file.tensor(named: name) else { continue }
        _ = array.withUnsafeBytes { $0.reduce(0 as UInt8, ^) }
    }
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
