import Foundation
import Testing

@testable import Files

@Suite struct AtomicFileTests {
    @Test func writesAndReplaces() throws {
        let folder = try TemporaryFolder()
        try AtomicFile.write([1, 2, 3], to: folder.file("a.bin"))
        try AtomicFile.write("second", to: folder.file("a.bin"))
        #expect(try folder.read("a.bin") == Array("second".utf8))
        #expect(folder.names == ["a.bin"])
    }

    @Test func largeAndSmallPiecesKeepTheirOrder() throws {
        let folder = try TemporaryFolder()
        let file = try AtomicFile(path: folder.file("a.bin"))
        var expected: [UInt8] = []
        for (index, size) in [1, 70_000, 3, 65_535, 65_536, 2].enumerated() {
            let piece = [UInt8](repeating: UInt8(index), count: size)
            try file.write(piece)
            expected += piece
        }
        #expect(file.byteCount == expected.count)
        try file.commit()
        #expect(try folder.read("a.bin") == expected)
    }

    @Test func withoutCommitNothingChanges() throws {
        let folder = try TemporaryFolder()
        try folder.write([7], to: "a.bin")
        do {
            let file = try AtomicFile(path: folder.file("a.bin"))
            try file.write([1, 2, 3])
            try file.flush()
            #expect(folder.names.count == 2)
        }
        #expect(try folder.read("a.bin") == [7])
        #expect(folder.names == ["a.bin"])
    }

    @Test func aLinkIsReplacedNotFollowed() throws {
        let folder = try TemporaryFolder()
        try folder.write([7], to: "victim")
        try FileManager.default.createSymbolicLink(atPath: folder.file("a.bin"), withDestinationPath: "victim")
        try AtomicFile.write([1], to: folder.file("a.bin"))
        #expect(try folder.read("victim") == [7])
        #expect(try folder.read("a.bin") == [1])
    }

    @Test func abandonedTemporaryFilesAreRemovedLiveOnesAreNot() throws {
        let folder = try TemporaryFolder()
        try folder.write([1], to: ".a.bin.0123456789abcdef.tmp")
        try folder.write([1], to: ".b.bin.0123456789abcdef.tmp")
        let live = try AtomicFile(path: folder.file("a.bin"))
        let second = try AtomicFile(path: folder.file("a.bin"))
        #expect(folder.names.filter { $0.hasPrefix(".a.bin.") }.count == 2)
        #expect(folder.names.contains(".b.bin.0123456789abcdef.tmp"))
        try live.commit()
        try second.commit()
        #expect(folder.names == [".b.bin.0123456789abcdef.tmp", "a.bin"])
    }

    @Test func permissionsOfAnExistingFileStay() throws {
        let folder = try TemporaryFolder()
        try folder.write([7], to: "a.bin")
        chmod(folder.file("a.bin"), 0o640)
        try AtomicFile.write([1], to: folder.file("a.bin"))
        let attributes = try FileManager.default.attributesOfItem(atPath: folder.file("a.bin"))
        #expect(attributes[.posixPermissions] as? Int == 0o640)
    }

    @Test func refusesWhatIsNotARegularFile() throws {
        let folder = try TemporaryFolder()
        mkfifo(folder.file("fifo"), 0o600)
        #expect(throws: FileError(folder.file("fifo"), .notRegular("a FIFO"))) {
            try AtomicFile.write([1], to: folder.file("fifo"))
        }
        #expect(throws: FileError(folder.path, .isDirectory)) { try AtomicFile.write([1], to: folder.path) }
        #expect(throws: FileError("/dev/null", .notRegular("a device"))) { try AtomicFile.write([1], to: "/dev/null") }
        #expect(throws: FileError("", .emptyPath)) { try AtomicFile.write([1], to: "") }
        #expect(throws: FileError(folder.file("no"), .missing)) { try AtomicFile.write([1], to: folder.file("no/a")) }
    }

    @Test(.enabled(if: FileManager.default.fileExists(atPath: "/dev/full")))
    func aFullDiskIsNamed() {
        #expect(FileError("x", errno: ENOSPC).description == "x: no space left on the device")
        #expect(FileError("x", errno: EROFS).description == "x: the file system is read-only")
    }

    @Test func longNamesStayWithinTheLimit() throws {
        let folder = try TemporaryFolder()
        let name = String(repeating: "n", count: 255)
        try AtomicFile.write([1], to: folder.file(name))
        #expect(folder.names == [name])
    }
}
