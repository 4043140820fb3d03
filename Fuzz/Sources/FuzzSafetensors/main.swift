import CLibFuzzer
import FineTune
import Foundation

/// A safetensors file: check the header, read every tensor.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = FileBytes(UnsafeBufferPointer(start: data, count: count), path: "fuzz.safetensors")
    guard let file = try? SafetensorsFile(bytes: bytes) else { return 0 }
    for name in file.names {
        guard let array = try? file.tensor(named: name) else { continue }
        _ = array.withUnsafeBytes { $0.reduce(0 as UInt8, ^) }
    }
    return 0
}

exit(ft_run_fuzzer(CommandLine.argc, CommandLine.unsafeArgv))
