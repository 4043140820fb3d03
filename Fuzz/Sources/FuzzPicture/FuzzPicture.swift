import FineTune

/// A picture file of one format: header, then samples in the file's own mode and in the one that models see most, turned as
/// the file says.
public func fuzzPicture(_ data: UnsafePointer<UInt8>?, _ count: Int, _ format: PictureFormat) -> CInt {
    let bytes = FileBytes(UnsafeBufferPointer(start: data, count: count), path: "fuzz")
    let limits = DecodeLimits(maxPixels: 1 << 18, maxScans: 20, maxWorkingBytes: 16 << 20)
    guard let header = try? PictureHeader(encoded: bytes, limits: limits), header.format == format else { return 0 }
    guard let picture = try? Picture(encoded: bytes, mode: nil, exif: .apply, limits: limits) else { return 0 }
    precondition(
        picture.size == header.size(.apply) && picture.mode == header.mode, "a picture differs from its header")
    precondition(picture.converted(to: .rgb).samples.count == 3 * header.size.width * header.size.height)
    return 0
}
