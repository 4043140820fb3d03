import CLibFuzzer
import FineTune
import Foundation

/// A PNG file: header, then samples in the file's own mode and in the one that models see most.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = FileBytes(UnsafeBufferPointer(start: data, count: count), path: "fuzz.png")
    let limits = DecodeLimits(maxPixels: 1 << 18, maxScans: 20, maxWorkingBytes: 16 << 20)
    guard let header = try? PictureHeader(encoded: bytes, limits: limits), header.format == .png else { return 0 }
    guard let picture = try? Picture(encoded: bytes, mode: nil, limits: limits) else { return 0 }
    precondition(picture.size == header.size && picture.mode == header.mode, "a picture differs from its header")
    precondition(picture.converted(to: .rgb).samples.count == 3 * header.size.width * header.size.height)
    return 0
}

exit(ft_run_fuzzer(CommandLine.argc, CommandLine.unsafeArgv))
