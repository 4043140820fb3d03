import Files
import Foundation
import TensorCore
import TestSupport
import Testing

@testable import Vision

@Suite("Decoding")
struct DecodingTests {
    @Test("decoded samples equal Pillow's")
    func decodedSamples() throws {
        let cases = try Fixtures.cases("decode")
        #expect(cases.count == 30)
        for (key, expected) in cases {
            let picture = try Picture(contentsOf: Fixtures.path(key[0]))
            #expect(picture.pixels.isBitIdentical(to: expected), "\(key[0])")
        }
    }

    @Test("greyscale samples equal Pillow's")
    func graySamples() throws {
        let cases = try Fixtures.cases("gray")
        #expect(cases.count == 5)
        for (key, expected) in cases {
            let picture = try Picture(contentsOf: Fixtures.path(key[0]), mode: .grayscale)
            #expect(picture.pixels.isBitIdentical(to: expected), "\(key[0])")
        }
    }

    @Test("without a mode a greyscale file keeps its one channel")
    func nativeMode() throws {
        #expect(try Picture(contentsOf: Fixtures.path("gray.jpg"), mode: nil).mode == .grayscale)
        #expect(try Picture(contentsOf: Fixtures.path("graya16.png"), mode: nil).mode == .grayscale)
        #expect(try Picture(contentsOf: Fixtures.path("palette1.png"), mode: nil).mode == .rgb)
    }

    @Test("a header tells format, size and mode")
    func header() throws {
        let header = try PictureHeader(contentsOf: Fixtures.path("progressive.jpg"))
        #expect(header.format == .jpeg)
        #expect(header.size == PictureSize(width: 61, height: 43))
        #expect(header.mode == .rgb)
        #expect(try PictureHeader(contentsOf: Fixtures.path("gray4.png")).format == .png)
    }

    @Test("the format is told by the first bytes, not by the name")
    func formatBySignature() throws {
        let folder = try TemporaryFolder()
        let misnamed = try folder.write("picture.png", Fixtures.bytes("420.jpg"))
        #expect(try Picture(contentsOf: misnamed) == Picture(contentsOf: Fixtures.path("420.jpg")))
    }

    @Test("what is not a picture is called what it is")
    func otherFiles() throws {
        func reason(_ bytes: [UInt8]) -> PictureError.Reason? {
            do throws(PictureError) {
                _ = try Picture(encoded: memory(bytes))
                return nil
            } catch { return error.reason }
        }
        #expect(reason([]) == .empty)
        #expect(reason(Array("%PDF-1.4....".utf8)) == .unknownFormat("a PDF document"))
        #expect(reason(Array("GIF89a......".utf8)) == .truncated("the data ends before the picture does"))
        #expect(reason(Array("BM of a text".utf8)) == .unknownFormat("text"))
        #expect(reason(Array("<!DOCTYPE html>".utf8)) == .unknownFormat("a web page or XML"))
        #expect(reason(Array("version https://git-lfs".utf8)) == .unknownFormat("a Git-LFS pointer"))
        #expect(reason(Array("hello".utf8)) == .unknownFormat("text"))
        #expect(reason([0, 1, 2, 3]) == .unknownFormat("unknown data"))
        let missing = try #require(throws: PictureError.self) { try Picture(contentsOf: "/nowhere/a.jpg") }
        #expect(missing.reason == .file(.missing))
        let folder = try #require(throws: PictureError.self) { try Picture(contentsOf: Fixtures.folder) }
        #expect(folder.reason == .file(.isDirectory))
    }

    @Test("a file cut off anywhere is refused or, where only the end marker is missing, whole")
    func truncated() throws {
        for name in ["420.jpg", "progressive.jpg", "restart.jpg", "rgb8.png", "graya16-interlaced.png"] {
            let bytes = try Fixtures.bytes(name)
            let whole = try Picture(contentsOf: Fixtures.path(name))
            for length in 1..<bytes.count {
                do throws(PictureError) {
                    let picture = try Picture(encoded: memory(Array(bytes[..<length]), name))
                    // Checksums and end markers hold no pixels.
                    #expect(length >= bytes.count - (name.hasSuffix("png") ? 24 : 2), "\(name) cut at \(length)")
                    #expect(picture == whole)
                } catch {
                    #expect(error.path == name)
                }
            }
        }
    }

    @Test("damaged files give pictures or errors, never a crash")
    func damaged() throws {
        var random = RandomSource(seed: 7)
        var refused = 0
        for name in [
            "420.jpg", "progressive.jpg", "444.jpg", "gray.jpg", "rgb8.png", "palette8.png", "rgb8-interlaced.png",
        ] {
            let bytes = try Fixtures.bytes(name)
            for _ in 0..<300 {
                var damaged = bytes
                for _ in 0...random.integer(below: 3) {
                    damaged[random.integer(below: bytes.count)] = UInt8(random.integer(below: 256))
                }
                do throws(PictureError) { _ = try Picture(encoded: memory(damaged, name)) } catch { refused += 1 }
            }
        }
        #expect(refused > 500)
    }

    @Test("a header that promises more than the limits is refused before anything is allocated")
    func limits() throws {
        let path = Fixtures.path("420.jpg")
        let few = try #require(throws: PictureError.self) {
            try Picture(contentsOf: path, limits: DecodeLimits(maxPixels: 61 * 43 - 1))
        }
        guard case .tooLarge = few.reason else {
            Issue.record("\(few)")
            return
        }
        #expect(throws: Never.self) { try Picture(contentsOf: path, limits: DecodeLimits(maxPixels: 61 * 43)) }
        let small = try #require(throws: PictureError.self) {
            try Picture(contentsOf: path, limits: DecodeLimits(maxFileBytes: 100))
        }
        guard case .file(.tooLarge) = small.reason else {
            Issue.record("\(small)")
            return
        }
        let scans = try #require(throws: PictureError.self) {
            try Picture(contentsOf: Fixtures.path("progressive.jpg"), limits: DecodeLimits(maxScans: 3))
        }
        #expect(scans.reason == .tooLarge("more than 3 scans"))
    }

    @Test("tiny files that promise huge pictures are refused without the memory")
    func bombs() throws {
        var jpeg = try Fixtures.bytes("progressive.jpg")
        let frame = try #require(jpeg.indices.first { jpeg[$0] == 0xFF && jpeg[$0 + 1] == 0xC2 })
        // 8000 x 8000 lies within the pixel limit, yet far more than these bytes can stand for.
        jpeg.replaceSubrange(frame + 5..<frame + 9, with: [0x1F, 0x40, 0x1F, 0x40])
        var png = try Fixtures.bytes("rgb8.png")
        png.replaceSubrange(16..<24, with: [0x7F, 0xFF, 0xFF, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF])
        StorageStatistics.resetPeak()
        let before = StorageStatistics.peakBytes
        #expect(throws: PictureError.self) { try Picture(encoded: memory(jpeg)) }
        #expect(throws: PictureError.self) { try Picture(encoded: memory(png)) }
        #expect(StorageStatistics.peakBytes - before < 64 << 20)
    }

    @Test("PNG files we write read back as they were", arguments: [1, 3])
    func roundTrip(channels: Int) throws {
        let folder = try TemporaryFolder()
        let picture = noise(width: 23, height: 11, channels: channels, seed: 1)
        try picture.writePNG(to: folder.path + "/a.png")
        #expect(try Picture(contentsOf: folder.path + "/a.png", mode: nil) == picture)
        #expect(throws: PictureError.self) { try picture.writePNG(to: folder.path + "/none/a.png") }
    }

    @Test("a contact sheet shows each picture in its cell")
    func contactSheet() throws {
        let red = Picture(width: 4, height: 4, color: [255, 0, 0])
        let wide = Picture(width: 16, height: 4, color: [0, 0, 255])
        let sheet = Picture.contactSheet([red, wide, red], columns: 2, cell: PictureSize(width: 8, height: 8), gap: 2)
        #expect(sheet.size == PictureSize(width: 22, height: 22))
        let color = { (x: Int, y: Int) in Array(sheet.samples[(y * 22 + x) * 3..<(y * 22 + x) * 3 + 3]) }
        #expect(color(0, 0) == [255, 255, 255])
        #expect(color(4, 4) == [255, 0, 0] && color(3, 4) == [255, 255, 255])
        #expect(color(12, 6) == [0, 0, 255] && color(12, 4) == [255, 255, 255])
        #expect(color(4, 14) == [255, 0, 0])
    }
}
