import CPicture

/// A file format that can be decoded, told by the first bytes and never by the name.
public enum PictureFormat: String, Sendable, Hashable, CaseIterable {
    case jpeg = "JPEG"
    case png = "PNG"
    case webp = "WebP"
    case gif = "GIF"
    case tiff = "TIFF"
    case bmp = "BMP"
    /// P1 to P6 of Netpbm, and its greyscale floats Pf.
    case pnm = "PNM"
    /// Where libavif is installed.
    case avif = "AVIF"
    /// Where libheif is installed.
    case heic = "HEIC"

    /// Bytes from the start of a file that `detect` looks at.
    static let signatureLength = 32

    /// The format that `bytes` begin with, or nil.
    public static func detect(_ bytes: some Sequence<UInt8>) -> PictureFormat? {
        let start = Array(bytes.prefix(signatureLength))
        func has(_ signature: [UInt8], at offset: Int = 0) -> Bool { start.dropFirst(offset).starts(with: signature) }
        func has(_ text: String, at offset: Int = 0) -> Bool { has(Array(text.utf8), at: offset) }
        if has([0xFF, 0xD8, 0xFF]) { return .jpeg }
        if has([0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]) { return .png }
        if has("RIFF"), has("WEBP", at: 8) { return .webp }
        if has("GIF87a") || has("GIF89a") { return .gif }
        // The fourth byte 43 is BigTIFF's.
        if has("II*\0") || has("MM\0*") || has("II+\0") || has("MM\0+") { return .tiff }
        // Two letters are little; the length of the header that follows is one of a few.
        let headerLengths: [UInt8] = [12, 40, 52, 56, 64, 108, 124]
        if has("BM"), headerLengths.contains(where: { has([$0, 0, 0, 0], at: 14) }) { return .bmp }
        if let second = start.dropFirst().first, let third = start.dropFirst(2).first, has("P"),
            "123456f".utf8.contains(second), " \t\r\n".utf8.contains(third)
        {
            return .pnm
        }
        return has("ftyp", at: 4) ? isobmff(start) : nil
    }

    /// AVIF or HEIC by the brands of a file that is one of many kinds.
    private static func isobmff(_ start: [UInt8]) -> PictureFormat? {
        let brands = stride(from: 8, to: start.count - 3, by: 4).filter { $0 != 12 }
            .map { String(decoding: start[$0..<$0 + 4], as: UTF8.self) }
        guard let major = brands.first else { return nil }
        let heic = ["heic", "heix", "heim", "heis", "hevc", "hevx"]
        if ["avif", "avis"].contains(major) { return .avif }
        if heic.contains(major) { return .heic }
        guard ["mif1", "msf1", "miaf"].contains(major) else { return nil }
        return brands.contains("avif") ? .avif : brands.contains(where: heic.contains) ? .heic : nil
    }

    /// False for AVIF and HEIC where their libraries are not installed.
    public var isReadable: Bool {
        switch self {
        case .avif: ft_avif_is_available() != 0
        case .heic: ft_heif_is_available() != 0
        default: true
        }
    }

    var decoder:
        @Sendable (
            UnsafePointer<UInt8>?, Int, UnsafePointer<ft_codec_limits>?, UnsafeMutablePointer<ft_codec_info>?,
            UnsafeMutablePointer<UInt8>?, Int, UnsafeMutablePointer<ft_codec_error>?
        ) -> CInt
    {
        switch self {
        case .jpeg: ft_jpeg_decode
        case .png: ft_png_decode
        case .webp: ft_webp_decode
        case .gif: ft_gif_decode
        case .tiff: ft_tiff_decode
        case .bmp: ft_bmp_decode
        case .pnm: ft_pnm_decode
        case .avif: ft_avif_decode
        case .heic: ft_heif_decode
        }
    }

    /// What a file looks like that cannot be decoded here, for messages; nil for one that can.
    static func foreignKind(_ bytes: [UInt8]) -> String? {
        switch detect(bytes) {
        case .avif? where !PictureFormat.avif.isReadable: "an AVIF picture, for which libavif is not installed"
        case .heic? where !PictureFormat.heic.isReadable: "a HEIC picture, for which libheif is not installed"
        case nil: describe(bytes)
        default: nil
        }
    }

    /// Ends of names that such files usually have.
    static let suffixes = [
        ".jpg", ".jpeg", ".png", ".webp", ".gif", ".tif", ".tiff", ".bmp", ".ppm", ".pgm", ".pbm", ".pnm", ".avif",
        ".heic", ".heif",
    ]

    /// What a file of no format looks like, for messages.
    static func describe(_ bytes: [UInt8]) -> String {
        let known: [(offset: Int, signature: String, name: String)] = [
            (0, "%PDF", "a PDF document"), (0, "PK\u{3}\u{4}", "a ZIP archive"),
            (0, "version https:", "a Git-LFS pointer"), (0, "<", "a web page or XML"),
            (4, "jP  ", "a JPEG 2000 picture"), (4, "ftyp", "a video"),
        ]
        for entry in known where bytes.dropFirst(entry.offset).starts(with: entry.signature.utf8) { return entry.name }
        return bytes.allSatisfy { $0 >= 0x20 && $0 < 0x7F || $0 == 9 || $0 == 10 || $0 == 13 } ? "text" : "unknown data"
    }
}
