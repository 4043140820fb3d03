import CPicture
import Files
import TensorCore

/// What a picture file says about itself.
public struct PictureHeader: Sendable, Hashable {
    public let format: PictureFormat
    /// The size it decodes to, its orientation not applied.
    public let size: PictureSize
    /// The mode it decodes to.
    public let mode: PictureMode
    /// How it is to be turned, as its EXIF data says; `.up` for TIFF and HEIC, which are always turned.
    public let orientation: PictureOrientation

    /// The size of the picture under `exif`.
    public func size(_ exif: ExifPolicy) -> PictureSize { exif == .apply ? orientation.size(of: size) : size }

    /// Reads the header of the file at `path`.
    ///
    /// Throws `PictureError` if the file is not a picture that can be decoded within `limits`.
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
    /// Decodes the picture file at `path`, as torchvision's `ImageFolder` does: Pillow's `open` and `convert`.
    ///
    /// - JPEG: baseline and progressive, every subsampling, greyscale; the accurate integer inverse DCT and smooth chroma
    ///   upsampling, so the samples equal Pillow's. CMYK and YCCK become RGB as Pillow converts them. A missing end marker
    ///   does no harm. Scaled decoding is never used: it changes samples by more than one part in 255.
    /// - PNG: every colour type and depth. Alpha and transparency are dropped, not blended.
    /// - WebP, GIF: of an animation the first picture. TIFF: the first page, turned as it says.
    /// - 16-bit samples keep their high byte; for 16-bit greyscale this differs from Pillow, whose conversion clips
    ///   everything above 255 to white.
    ///
    /// `mode` nil keeps greyscale files in one channel; `exif` tells whether a rotation that the file tells is applied.
    /// Throws `PictureError`.
    public init(
        contentsOf path: String, mode: PictureMode? = .rgb, exif: ExifPolicy = .ignore,
        limits: DecodeLimits = DecodeLimits()
    ) throws(PictureError) {
        try self.init(encoded: FileBytes(picture: path, limits: limits), mode: mode, exif: exif, limits: limits)
    }

    /// Decodes a picture file held in memory; `bytes.path` is what errors call it.
    public init(
        encoded bytes: FileBytes, mode: PictureMode? = .rgb, exif: ExifPolicy = .ignore,
        limits: DecodeLimits = DecodeLimits()
    ) throws(PictureError) {
        let picture = try bytes.withUnsafeBytes { (raw) throws(PictureError) in
            let codec = try Codec(raw, name: bytes.path, limits: limits)
            let picture = try codec.picture()
            return exif == .apply ? picture.turned(codec.orientation) : picture
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

    var orientation: PictureOrientation { .stored(in: bytes, format: format) }

    func header() throws(PictureError) -> PictureHeader {
        let info = try run(into: nil, capacity: 0)
        return PictureHeader(
            format: format, size: Codec.turn(info).size(of: Codec.size(info)), mode: Codec.mode(info),
            orientation: orientation)
    }

    func picture() throws(PictureError) -> Picture {
        let info = try run(into: nil, capacity: 0)
        let picture = try Picture(
            uninitialized: Codec.size(info), channels: Codec.mode(info).channels
        ) { out throws(PictureError) in
            _ = try run(into: out.baseAddress, capacity: out.count)
        }
        return picture.turned(Codec.turn(info))
    }

    private static func size(_ info: ft_codec_info) -> PictureSize {
        PictureSize(width: Int(info.width), height: Int(info.height))
    }

    private static func mode(_ info: ft_codec_info) -> PictureMode { info.channels == 3 ? .rgb : .grayscale }

    /// How the decoded picture is turned whatever the policy.
    private static func turn(_ info: ft_codec_info) -> PictureOrientation {
        UInt8(exactly: info.orientation).flatMap(PictureOrientation.init) ?? .up
    }

    private func run(into pixels: UnsafeMutablePointer<UInt8>?, capacity: Int) throws(PictureError) -> ft_codec_info {
        var info = ft_codec_info()
        var error = ft_codec_error()
        var limits = limits
        let data = bytes.assumingMemoryBound(to: UInt8.self)
        _ = format.decoder(data.baseAddress, data.count, &limits, &info, pixels, capacity, &error)
        if let reason = PictureError.Reason(error) { throw PictureError(path: name, reason: reason) }
        return info
    }
}

extension PictureHeader {
    fileprivate init(
        format: PictureFormat, size: PictureSize, mode: PictureMode, orientation: PictureOrientation
    ) {
        self.format = format
        self.size = size
        self.mode = mode
        self.orientation = orientation
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
