import CPicture
import Files
import TensorCore

/// A file format that can be decoded, told by the first bytes and never by the name.
public enum PictureFormat: String, Sendable, Hashable {
    case jpeg = "JPEG"
    case png = "PNG"

    /// Bytes from the start of a file that `detect` looks at.
    static let signatureLength = 16

    /// The format that `bytes` begin with, or nil.
    public static func detect(_ bytes: some Sequence<UInt8>) -> PictureFormat? {
        if bytes.starts(with: [0xFF, 0xD8, 0xFF]) { return .jpeg }
        if bytes.starts(with: [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]) { return .png }
        return nil
    }

    /// What a file that is neither looks like, for messages.
    static func describe(_ bytes: [UInt8]) -> String {
        let known: [(offset: Int, signature: String, name: String)] = [
            (0, "GIF8", "a GIF picture"), (0, "BM", "a BMP picture"), (0, "II*\0", "a TIFF picture"),
            (0, "MM\0*", "a TIFF picture"), (8, "WEBP", "a WebP picture"), (4, "ftypavif", "an AVIF picture"),
            (4, "ftyphei", "a HEIC picture"), (4, "ftypmif1", "a HEIF picture"), (0, "%PDF", "a PDF document"),
            (0, "PK\u{3}\u{4}", "a ZIP archive"), (0, "version https:", "a Git-LFS pointer"),
            (0, "<", "a web page or XML"),
        ]
        for entry in known where bytes.dropFirst(entry.offset).starts(with: entry.signature.utf8) { return entry.name }
        return bytes.allSatisfy { $0 >= 0x20 && $0 < 0x7F || $0 == 9 || $0 == 10 || $0 == 13 } ? "text" : "unknown data"
    }
}

/// What a picture file says about itself.
public struct PictureHeader: Sendable, Hashable {
    public let format: PictureFormat
    public let size: PictureSize
    /// The mode it decodes to.
    public let mode: PictureMode

    /// Reads the header of the file at `path`.
    ///
    /// Throws `PictureError` if the file is not a JPEG or PNG that can be decoded within `limits`.
    public init(contentsOf path: String, limits: DecodeLimits = DecodeLimits()) throws(PictureError) {
        try self.init(encoded: FileBytes(picture: path, limits: limits), limits: limits)
    }

    /// Reads the header of the encoded picture in `bytes`, whose `path` is what errors call it.
    public init(encoded bytes: FileBytes, limits: DecodeLimits = DecodeLimits()) throws(PictureError) {
        self = try bytes.withUnsafeBytes { (raw) throws(PictureError) in
            try Codec(raw, name: bytes.path, limits: limits).header()
        }
    }
}

extension Picture {
    /// Decodes the JPEG or PNG file at `path`, as torchvision's `ImageFolder` does: Pillow's `open` and `convert`.
    ///
    /// - JPEG: baseline and progressive, every subsampling, greyscale; the accurate integer inverse DCT and smooth chroma
    ///   upsampling, so the samples equal Pillow's. The EXIF orientation is ignored, as Pillow ignores it unless asked.
    ///   CMYK is refused. Scaled decoding is never used: it changes samples by more than one part in 255.
    /// - PNG: every colour type and depth. Alpha and transparency are dropped, not blended. 16-bit samples keep their high
    ///   byte; for 16-bit greyscale this differs from Pillow, whose conversion clips everything above 255 to white.
    ///
    /// `mode` nil keeps greyscale files in one channel. Throws `PictureError`.
    public init(
        contentsOf path: String, mode: PictureMode? = .rgb, limits: DecodeLimits = DecodeLimits()
    ) throws(PictureError) {
        try self.init(encoded: FileBytes(picture: path, limits: limits), mode: mode, limits: limits)
    }

    /// Decodes a JPEG or PNG held in memory; `bytes.path` is what errors call it.
    public init(
        encoded bytes: FileBytes, mode: PictureMode? = .rgb, limits: DecodeLimits = DecodeLimits()
    ) throws(PictureError) {
        let picture = try bytes.withUnsafeBytes { (raw) throws(PictureError) in
            try Codec(raw, name: bytes.path, limits: limits).picture()
        }
        self = mode.map(picture.converted) ?? picture
    }
}

extension FileBytes {
    /// A picture file's bytes, copied: a file that shrinks while it is decoded must do no harm.
    convenience init(picture path: String, limits: DecodeLimits) throws(PictureError) {
        do throws(FileError) {
            try self.init(path: path, limit: limits.maxFileBytes, access: .copied)
        } catch {
            throw PictureError(error)
        }
    }
}

/// Calls the C decoders and turns their status into errors.
private struct Codec {
    let bytes: UnsafeRawBufferPointer
    let name: String
    let format: PictureFormat
    var limits: ft_codec_limits

    init(_ bytes: UnsafeRawBufferPointer, name: String, limits: DecodeLimits) throws(PictureError) {
        guard !bytes.isEmpty else { throw PictureError(path: name, reason: .empty) }
        guard let format = PictureFormat.detect(bytes) else {
            let kind = PictureFormat.describe(Array(bytes.prefix(PictureFormat.signatureLength)))
            throw PictureError(path: name, reason: .unknownFormat(kind))
        }
        self.bytes = bytes
        self.name = name
        self.format = format
        self.limits = ft_codec_limits(
            max_pixels: UInt64(limits.maxPixels), max_scans: CInt(clamping: limits.maxScans),
            max_working_bytes: limits.maxWorkingBytes)
    }

    func header() throws(PictureError) -> PictureHeader {
        let info = try run(into: nil, capacity: 0)
        return PictureHeader(
            format: format, size: PictureSize(width: Int(info.width), height: Int(info.height)),
            mode: info.channels == 3 ? .rgb : .grayscale)
    }

    func picture() throws(PictureError) -> Picture {
        let header = try header()
        return try Picture(uninitialized: header.size, channels: header.mode.channels) { out throws(PictureError) in
            _ = try run(into: out.baseAddress, capacity: out.count)
        }
    }

    private func run(into pixels: UnsafeMutablePointer<UInt8>?, capacity: Int) throws(PictureError) -> ft_codec_info {
        var info = ft_codec_info()
        var error = ft_codec_error()
        var limits = limits
        let decode = format == .jpeg ? ft_jpeg_decode : ft_png_decode
        let data = bytes.assumingMemoryBound(to: UInt8.self)
        _ = decode(data.baseAddress, data.count, &limits, &info, pixels, capacity, &error)
        if let reason = PictureError.Reason(error) { throw PictureError(path: name, reason: reason) }
        return info
    }
}

extension PictureHeader {
    fileprivate init(format: PictureFormat, size: PictureSize, mode: PictureMode) {
        self.format = format
        self.size = size
        self.mode = mode
    }
}

extension PictureError.Reason {
    /// Nil when the codec succeeded.
    init?(_ error: ft_codec_error) {
        let message = withUnsafeBytes(of: error.message) { text in
            String(decoding: text.prefix { $0 != 0 }, as: UTF8.self)
        }
        switch Int(error.status) {
        case FT_CODEC_OK: return nil
        case FT_CODEC_TRUNCATED: self = .truncated(message)
        case FT_CODEC_UNSUPPORTED: self = .unsupported(message)
        case FT_CODEC_TOO_LARGE: self = .tooLarge(message)
        case FT_CODEC_OUT_OF_MEMORY: self = .outOfMemory
        default: self = .corrupt(message)
        }
    }
}
