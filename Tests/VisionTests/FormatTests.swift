import CPicture
import Files
import Foundation
import Safetensors
import TensorCore
import TestSupport
import Testing

@testable import Vision

/// The pictures of `scripts/make_format_fixtures.py` and what Pillow reads from each.
private enum Formats {
    static let arrays = Result { try SafetensorsFile(path: Fixtures.path("formats.safetensors")).tensors() }

    static func names(_ kind: String) throws -> [String] {
        try arrays.get().keys.filter { $0.hasPrefix(kind + "/") }.map { String($0.dropFirst(kind.count + 1)) }.sorted()
    }

    static func array(_ name: String) throws -> NDArray { try #require(try arrays.get()[name], "\(name)") }

    static func file(_ name: String) throws -> FileBytes {
        memory(try array("file/\(name)").elements(as: UInt8.self), name)
    }
}

@Suite("Formats")
struct FormatTests {
    /// What decoders differ in by design: the chroma of lossy AVIF is enlarged by another library.
    private func tolerance(_ name: String) -> Int { name.hasSuffix(".avif") ? 1 : 0 }

    private func difference(_ picture: Picture, _ expected: NDArray) -> Int {
        guard picture.pixels.shape == expected.shape else { return .max }
        return zip(picture.samples, expected.elements(as: UInt8.self)).map { abs(Int($0) - Int($1)) }.max() ?? 0
    }

    @Test("every kind that Pillow writes is read as Pillow reads it")
    func samples() throws {
        let names = try Formats.names("file")
        #expect(names.count > 230)
        for name in names {
            let format = PictureFormat.detect(try Formats.array("file/\(name)").elements(as: UInt8.self))
            guard let format else {
                Issue.record("\(name) is of no format")
                continue
            }
            guard format.isReadable else { continue }
            do {
                let picture = try Picture(encoded: Formats.file(name))
                let difference = difference(picture, try Formats.array("rgb/\(name)"))
                #expect(difference <= tolerance(name), "\(name) differs by \(difference), \(picture.size)")
                let header = try PictureHeader(encoded: Formats.file(name))
                #expect(header.size == picture.size && header.format == format, "\(name)")
            } catch {
                Issue.record("\(name): \(error)")
            }
        }
    }

    @Test("rotations that files tell are applied on request, as ImageOps.exif_transpose does")
    func rotations() throws {
        let names = try Formats.names("turned")
        #expect(names.count >= 16)
        for name in names {
            let header = try? PictureHeader(encoded: Formats.file(name))
            if header == nil, name.hasSuffix(".avif") && !PictureFormat.avif.isReadable { continue }
            let picture = try Picture(encoded: Formats.file(name), exif: .apply)
            let difference = difference(picture, try Formats.array("turned/\(name)"))
            #expect(difference <= tolerance(name), "\(name) differs by \(difference)")
            #expect(header?.orientation != .up && header?.size(.apply) == picture.size, "\(name)")
        }
    }

    @Test("files cut off anywhere are refused or whole")
    func truncated() throws {
        for name in [
            "RGB-tiff_lzw.tif", "tiles.tif", "P0.gif", "L1.gif", "RGB.webp", "RGBA-lossless.webp", "P.bmp", "runs8.bmp",
            "plain3.pnm", "RGB.pnm", "CMYK0.jpg", "CMYK1.jpg", "animated.webp", "422-progressive.jpg",
        ] {
            let bytes = try Formats.array("file/\(name)").elements(as: UInt8.self)
            let whole = try Picture(encoded: memory(bytes, name))
            for length in 1..<bytes.count {
                guard let picture = try? Picture(encoded: memory(Array(bytes[..<length]), name)) else { continue }
                // The last number of a text may have had more digits.
                #expect(picture == whole || name == "plain3.pnm", "\(name) cut at \(length) of \(bytes.count)")
            }
        }
    }

    @Test("damaged files give pictures or errors, never a crash")
    func damaged() throws {
        var random = RandomSource(seed: 3)
        var refused = 0
        let limits = DecodeLimits(maxPixels: 1 << 16, maxWorkingBytes: 8 << 20)
        for name in try Formats.names("file") where !name.hasSuffix(".avif") {
            let bytes = try Formats.array("file/\(name)").elements(as: UInt8.self)
            for _ in 0..<20 {
                var damaged = bytes
                for _ in 0...random.integer(below: 3) {
                    damaged[random.integer(below: bytes.count)] = UInt8(random.integer(below: 256))
                }
                do throws(PictureError) { _ = try Picture(encoded: memory(damaged, name), limits: limits) } catch {
                    refused += 1
                }
            }
        }
        #expect(refused > 500)
    }

    @Test(
        "a header that promises more than the limits is refused",
        arguments: ["webp", "gif", "tif", "bmp", "pnm", "jpg", "png"])
    func limits(suffix: String) throws {
        let name = try #require(
            try Formats.names("file").first { $0.hasPrefix("RGB") && $0.hasSuffix(suffix) }
                ?? Formats.names("file").first { $0.hasSuffix(suffix) })
        let size = try PictureHeader(encoded: Formats.file(name)).size
        let error = try #require(throws: PictureError.self) {
            try Picture(encoded: Formats.file(name), limits: DecodeLimits(maxPixels: size.width * size.height - 1))
        }
        guard case .tooLarge = error.reason else {
            Issue.record("\(error)")
            return
        }
    }

    @Test("what follows the last row of a PNG is not unpacked")
    func unpackedBytes() throws {
        let bytes = pngWithExcess(megabytes: 512)
        let clock = ContinuousClock()
        var picture: Picture?
        let duration = try clock.measure { picture = try Picture(encoded: memory(bytes, "over.png")) }
        #expect(picture?.samples == [7, 7, 7])
        #expect(duration < .milliseconds(100))
    }

    @Test("a JPEG whose last scans are missing is not taken for one whose end marker is")
    func missingScans() throws {
        let bytes = try Formats.array("file/422-progressive.jpg").elements(as: UInt8.self)
        let scans = bytes.indices.dropLast().filter { bytes[$0] == 0xFF && bytes[$0 + 1] == 0xDA }
        #expect(scans.count > 3)
        for scan in scans.dropFirst() {
            let error = try #require(throws: PictureError.self) { try Picture(encoded: memory(Array(bytes[..<scan]))) }
            guard case .truncated = error.reason else {
                Issue.record("\(error)")
                continue
            }
        }
        #expect(throws: Never.self) { try Picture(encoded: memory(bytes.dropLast(2))) }
        #expect(throws: Never.self) { try Picture(encoded: memory(bytes.dropLast())) }
    }

    @Test("bicubic resampling and letterboxes equal Pillow's")
    func resampling() throws {
        for name in try Formats.names("resize") + Formats.names("pad") {
            let parts = name.split(separator: "/").map(String.init)
            let source = Picture(pixels: try Formats.array("source/\(parts[0])"))
            let interpolation = try #require(Interpolation(rawValue: parts[2]))
            let numbers = parts[1].split(separator: "x").compactMap { Int($0) }
            let result: Picture
            if numbers.count == 2 {
                result = source.resized(to: PictureSize(width: numbers[0], height: numbers[1]), interpolation)
                #expect(result.pixels.isBitIdentical(to: try Formats.array("resize/\(name)")), "resize/\(name)")
            } else {
                var deferred = DeferredPicture(source)
                var random = RandomSource(seed: 0)
                Letterbox(PictureSize(width: numbers[0], height: numbers[0]), interpolation)
                    .apply(to: &deferred, using: &random)
                result = deferred.rendered()
                #expect(result.pixels.isBitIdentical(to: try Formats.array("pad/\(name)")), "pad/\(name)")
            }
        }
    }
}

/// A PNG of one grey pixel whose compressed data goes on with zeros.
private func pngWithExcess(megabytes: Int) -> [UInt8] {
    var stream: [UInt8] = []
    // Filter and sample, stored; then one symbol for a zero and copies of it, 258 bytes for one bit each.
    stream += [0x78, 0x01, 0x00, 2, 0, 0xFD, 0xFF, 0, 7]
    // Blocks of fixed codes: literal 0 (00110000), then length 258 (11000101) with distance 1 (00000).
    var bits = BitWriter()
    bits.write(0b1, 1)
    bits.write(0b01, 2)
    bits.writeCode(0b0011_0000, 8)
    for _ in 0..<24 {
        bits.writeCode(0b1100_0101, 8)
        bits.writeCode(0, 5)
    }
    bits.writeCode(0, 7)
    // Eight such copies take 13 bytes, which repeat.
    let repeated = (0..<megabytes * (1 << 20) / (8 * 258)).flatMap { _ in bits.bytes[13..<26] }
    stream += bits.bytes[..<13] + repeated + bits.bytes[13...]
    func chunk(_ kind: String, _ data: [UInt8]) -> [UInt8] {
        let body = Array(kind.utf8) + data
        return bigEndian(UInt32(data.count)) + body + bigEndian(crc32(body))
    }
    let header = bigEndian(1) + bigEndian(1) + [8, 0, 0, 0, 0]
    return [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A] + chunk("IHDR", header) + chunk("IDAT", stream)
        + chunk("IEND", [])
}

private struct BitWriter {
    var bytes: [UInt8] = []
    private var count = 0

    mutating func write(_ value: Int, _ bits: Int) {
        for bit in 0..<bits {
            if count % 8 == 0 { bytes.append(0) }
            bytes[bytes.count - 1] |= UInt8(value >> bit & 1) << UInt8(count % 8)
            count += 1
        }
    }

    /// Huffman codes begin with their highest bit.
    mutating func writeCode(_ value: Int, _ bits: Int) {
        for bit in (0..<bits).reversed() { write(value >> bit & 1, 1) }
    }
}

private func bigEndian(_ value: UInt32) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: value >> (24 - 8 * $0)) } }

private func crc32(_ bytes: [UInt8]) -> UInt32 {
    let table = (0..<256).map { index in (0..<8).reduce(UInt32(index)) { crc, _ in crc >> 1 ^ (crc & 1) * 0xEDB8_8320 }
    }
    return ~bytes.reduce(UInt32.max) { crc, byte in table[Int((crc ^ UInt32(byte)) & 0xFF)] ^ crc >> 8 }
}
