import Files
import TensorCore

/// How a file says that its picture is to be turned before it is shown, counted as EXIF does.
public enum PictureOrientation: UInt8, Sendable, Hashable {
    case up = 1
    case mirrored, down, mirroredDown
    /// From here on width and height change places.
    case transposed, right, transversed, left

    var swapsSides: Bool { rawValue >= PictureOrientation.transposed.rawValue }

    func size(of stored: PictureSize) -> PictureSize {
        swapsSides ? PictureSize(width: stored.height, height: stored.width) : stored
    }
}

/// What becomes of a rotation that a picture's file tells (EXIF).
///
/// TIFF and HEIC are always turned, as Pillow and libheif do.
public enum ExifPolicy: String, Sendable, Hashable, Codable, CaseIterable {
    /// The pixels are taken as they are stored, as torchvision's `ImageFolder` takes them.
    case ignore
    /// The picture is turned: Pillow's `ImageOps.exif_transpose`.
    case apply
}

extension Picture {
    /// The picture turned as `orientation` says.
    public func turned(_ orientation: PictureOrientation) -> Picture {
        let (w, h) = (width, height)
        /// Where the result's first pixel comes from, and how far the next ones to the right and below lie, in pixels.
        let (start, right, down): (Int, Int, Int) =
            switch orientation {
            case .up: (0, 1, w)
            case .mirrored: (w - 1, -1, w)
            case .down: (w * h - 1, -1, -w)
            case .mirroredDown: ((h - 1) * w, 1, -w)
            case .transposed: (0, w, 1)
            case .right: ((h - 1) * w, -w, 1)
            case .transversed: (w * h - 1, -w, -1)
            case .left: (w - 1, w, -1)
            }
        guard orientation != .up else { return self }
        let (size, channels) = (orientation.size(of: size), channels)
        return withSamples { source in
            Picture(uninitialized: size, channels: channels) { out in
                var to = 0
                for y in 0..<size.height {
                    for x in 0..<size.width {
                        let from = (start + x * right + y * down) * channels
                        for c in 0..<channels { out[to + c] = source[from + c] }
                        to += channels
                    }
                }
            }
        }
    }
}

extension PictureOrientation {
    /// How many of the files at `paths` tell a rotation that is applied only on request. Reads their heads on all cores.
    public static func rotatedCount(of paths: [String]) -> Int {
        Parallel.map(paths.count) { index in
            guard let bytes = try? FileBytes(path: paths[index]) else { return false }
            return bytes.withUnsafeBytes { raw in
                PictureFormat.detect(raw).map { stored(in: raw, format: $0) != .up } ?? false
            }
        }.count { $0 }
    }

    /// What the file in `bytes` tells; `.up` where it tells nothing that can be understood, and for TIFF and HEIC, whose
    /// decoders see to it.
    static func stored(in bytes: UnsafeRawBufferPointer, format: PictureFormat) -> PictureOrientation {
        let file = Bytes(raw: bytes)
        let value: UInt8? =
            switch format {
            case .jpeg: file.jpegExif().flatMap { $0.exifOrientation() }
            case .png: file.pngExif().flatMap { $0.exifOrientation() }
            case .webp: file.webpExif().flatMap { $0.exifOrientation() }
            case .avif: file.avifOrientation()
            default: nil
            }
        return value.flatMap(PictureOrientation.init) ?? .up
    }
}

/// Bytes of a file of which every read is checked.
private struct Bytes {
    let raw: UnsafeRawBufferPointer

    var count: Int { raw.count }

    func byte(_ at: Int) -> Int? { at >= 0 && at < raw.count ? Int(raw[at]) : nil }

    func number(_ at: Int, bytes: Int, isBig: Bool) -> Int? {
        guard at >= 0, at <= raw.count - bytes else { return nil }
        return (0..<bytes).reduce(0) { $0 << 8 | Int(raw[at + (isBig ? $1 : bytes - 1 - $1)]) }
    }

    func has(_ text: String, at: Int) -> Bool {
        at >= 0 && at <= raw.count - text.utf8.count && raw[at..<at + text.utf8.count].elementsEqual(text.utf8)
    }

    func from(_ start: Int, count: Int) -> Bytes? {
        guard start >= 0, count > 0, start < raw.count else { return nil }
        return Bytes(raw: UnsafeRawBufferPointer(rebasing: raw[start..<min(start + count, raw.count)]))
    }

    // MARK: - Where the formats keep it

    /// The TIFF structure of a JPEG's first EXIF segment.
    func jpegExif() -> Bytes? {
        var at = 2
        while byte(at) == 0xFF, let marker = byte(at + 1) {
            switch marker {
            case 0xFF: at += 1
            case 0x01, 0xD0...0xD8: at += 2
            case 0xD9, 0xDA: return nil
            default:
                guard let length = number(at + 2, bytes: 2, isBig: true), length >= 2 else { return nil }
                if marker == 0xE1, has("Exif\0\0", at: at + 4) { return from(at + 10, count: length - 8) }
                at += 2 + length
            }
        }
        return nil
    }

    func pngExif() -> Bytes? {
        var at = 8
        while let length = number(at, bytes: 4, isBig: true) {
            if has("eXIf", at: at + 4) { return from(at + 8, count: length) }
            at += 12 + length
        }
        return nil
    }

    func webpExif() -> Bytes? {
        var at = 12
        while let length = number(at + 4, bytes: 4, isBig: false) {
            // Some writers begin it as in a JPEG.
            let start = at + 8 + (has("Exif\0\0", at: at + 8) ? 6 : 0)
            if has("EXIF", at: at) { return from(start, count: length) }
            at += 8 + length + length % 2
        }
        return nil
    }

    /// The first IFD's entry of that number.
    func exifOrientation() -> UInt8? {
        let isBig = has("MM", at: 0)
        guard isBig || has("II", at: 0), number(2, bytes: 2, isBig: isBig) == 42,
            let folder = number(4, bytes: 4, isBig: isBig), let entries = number(folder, bytes: 2, isBig: isBig)
        else { return nil }
        let (orientation, short) = (0x112, 3)
        for entry in 0..<entries {
            let at = folder + 2 + entry * 12
            guard let tag = number(at, bytes: 2, isBig: isBig) else { return nil }
            guard tag == orientation else { continue }
            guard number(at + 2, bytes: 2, isBig: isBig) == short else { return nil }
            return number(at + 8, bytes: 2, isBig: isBig).flatMap { UInt8(exactly: $0) }
        }
        return nil
    }

    /// An AVIF's rotation and mirroring, found by the heads of their boxes among the picture's properties.
    func avifOrientation() -> UInt8? {
        var at = 0
        while let length = number(at, bytes: 4, isBig: true), length >= 8 {
            if has("meta", at: at + 4), let properties = from(at, count: length) { return properties.avifProperties() }
            at += length
        }
        return nil
    }

    private func avifProperties() -> UInt8? {
        func value(_ name: String) -> Int? {
            let length = 9
            return raw.indices.first { raw[$0] == length && has(name, at: $0 + 1) }.flatMap { byte($0 + 5) }
        }
        /// By quarter turns against the clock: without mirroring, then with an axis of 0 and of 1.
        let table: [(plain: UInt8, axis0: UInt8, axis1: UInt8)] = [(1, 4, 2), (8, 5, 7), (3, 2, 4), (6, 7, 5)]
        let turns = table[(value("irot") ?? 0) & 3]
        return value("imir").map { $0 & 1 == 0 ? turns.axis0 : turns.axis1 } ?? turns.plain
    }
}
