import CLibFuzzer
import FineTune
import Foundation
import FuzzPicture

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt { fuzzPicture(data, count, .tiff) }

exit(ft_run_fuzzer(CommandLine.argc, CommandLine.unsafeArgv))
