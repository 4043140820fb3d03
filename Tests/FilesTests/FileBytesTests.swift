import Foundation
import TensorCore
import Testing

@testable import Files

@Suite struct FileBytesTests {
    @Test(arguments: [FileBytes.Access.mapped, .copied])
    func holdsTheBytes(_ access: FileBytes.Access) throws {
        let folder = try TemporaryFolder()
        let content = (0..<10_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        let bytes = try FileBytes(path: folder.write(content, to: "a"), access: access)
        #expect(bytes.withUnsafeBytes { Array($0) } == content)
        #expect(try FileBytes(path: folder.write([], to: "empty"), access: access).count == 0)
    }

    @Test func alignedElementsAreBorrowedOthersCopied() throws {
        let values: [Float] = [1, -2, 3.5]
        let raw = values.withUnsafeBytes { Array($0) }
        for shift in 0..<4 {
            let bytes = FileBytes([UInt8](repeating: 0, count: shift) + raw, path: "memory")
            let array = bytes.array(in: shift..<shift + 12, shape: [3], dtype: .float32)
            #expect(array.elements(as: Float.self) == values)
            let again = bytes.array(in: shift..<shift + 12, shape: [3], dtype: .float32)
            let sameMemory = array.withUnsafeBytes { a in again.withUnsafeBytes { $0.baseAddress == a.baseAddress } }
            #expect(sameMemory == (shift == 0))
        }
    }

    @Test func releasedPagesReadTheSame() throws {
        let folder = try TemporaryFolder()
        let content = (0..<100_000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        let bytes = try FileBytes(path: folder.write(content, to: "a"))
        bytes.releasePages(of: 1..<99_999)
        bytes.releasePages(of: 0..<100_000)
        #expect(bytes.withUnsafeBytes { Array($0) } == content)
    }

    @Test func boolsAreNormalised() {
        let bytes = FileBytes([0, 1, 2, 255], path: "memory")
        #expect(bytes.array(in: 0..<4, shape: [4], dtype: .bool).elements(as: Bool.self) == [false, true, true, true])
    }

    @Test func aFileWrittenInPlaceIsNoticedAReplacedOneIsFine() throws {
        let folder = try TemporaryFolder()
        let path = try folder.write([1, 2, 3], to: "a")
        let bytes = try FileBytes(path: path)
        try bytes.checkUnchanged()
        try AtomicFile.write([4, 5], to: path)
        try bytes.checkUnchanged()
        let second = try FileBytes(path: path)
        let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
        try handle.seekToEnd()
        try handle.write(contentsOf: Data([9]))
        try handle.close()
        #expect(throws: FileError(path, .changed)) { try second.checkUnchanged() }
    }

    @Test func whatCannotBeReadIsNamed() throws {
        let folder = try TemporaryFolder()
        mkfifo(folder.file("fifo"), 0o600)
        #expect(throws: FileError(folder.file("fifo"), .notRegular("a FIFO"))) {
            try FileBytes(path: folder.file("fifo"))
        }
        #expect(throws: FileError(folder.path, .isDirectory)) { try FileBytes(path: folder.path) }
        #expect(throws: FileError(folder.file("x"), .missing)) { try FileBytes(path: folder.file("x")) }
        #expect(throws: FileError("/dev/zero", .notRegular("a device"))) { try FileBytes(path: "/dev/zero") }
    }

    /// Values of FIPS 180-4's examples, and a length that ends in a block of padding alone.
    @Test func sha256() {
        func hex(_ bytes: [UInt8], piece: Int) -> String {
            var hash = SHA256()
            for start in stride(from: 0, to: bytes.count, by: piece) {
                hash.update(Array(bytes[start..<min(start + piece, bytes.count)]))
            }
            return hash.hexDigest()
        }
        let million = [UInt8](repeating: UInt8(ascii: "a"), count: 1_000_000)
        for piece in [1, 63, 64, 65, 1000] {
            #expect(
                hex(Array("abc".utf8), piece: piece)
                    == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
            #expect(hex([], piece: piece) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
            #expect(
                hex(Array("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq".utf8), piece: piece)
                    == "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1")
        }
        #expect(hex(million, piece: 4096) == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0")
        // Around the end of a block: the padding needs one more, or does not. As `sha256sum` prints them.
        let ends = [
            (55, "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318"),
            (56, "b35439a4ac6f0948b6d6f9e3c6af0f5f590ce20f1bde7090ef7970686ec6738a"),
            (63, "7d3e74a05d7db15bce4ad9ec0658ea98e3f06eeecf16b4c6fff2da457ddc2f34"),
            (64, "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb"),
        ]
        for (count, expected) in ends { #expect(hex(Array(million[..<count]), piece: 7) == expected, "\(count)") }
    }

    @Test func aDigestIsAbsorbedAsItsBytes() {
        var hash = SHA256()
        hash.update([1, 2, 3])
        let digest = hash.value
        #expect(digest.bytes == hash.digest() && digest.bytes.count == 32)
        var (a, b) = (hash, hash)
        a.update(digest)
        b.update(digest.bytes)
        #expect(a.value == b.value && a.value != digest)
    }
}
