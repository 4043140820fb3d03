import Foundation
import Testing

@testable import Files

@Suite struct FolderTests {
    /// `models/w.bin` is fine; everything else in here is a trap.
    private func traps() throws -> (TemporaryFolder, Folder) {
        let root = try TemporaryFolder()
        let manager = FileManager.default
        try root.write([1, 2, 3], to: "models/w.bin")
        try root.write([4], to: "models/sub/deep.bin")
        try root.write([9], to: "secret")
        try manager.createSymbolicLink(atPath: root.file("models/link"), withDestinationPath: "../secret")
        try manager.createSymbolicLink(atPath: root.file("models/inner"), withDestinationPath: "w.bin")
        try manager.createSymbolicLink(atPath: root.file("models/out"), withDestinationPath: "..")
        try manager.linkItem(atPath: root.file("secret"), toPath: root.file("models/hard"))
        mkfifo(root.file("models/fifo"), 0o600)
        return (root, try Folder(path: root.file("models")))
    }

    private static let refused: [(String, FileError.Reason)] = [
        ("../secret", .outsideFolder), ("sub/../../secret", .outsideFolder), ("sub/../w.bin", .outsideFolder),
        ("/etc/passwd", .absolutePath), ("", .emptyPath), ("link", .symbolicLink), ("inner", .symbolicLink),
        ("out/secret", .symbolicLink), ("hard", .hardLinks(2)), ("fifo", .notRegular("a FIFO")), ("sub", .isDirectory),
        ("../\u{301}secret", .outsideFolder), ("/\u{301}etc", .absolutePath), ("nothing", .missing),
        ("w.bin/x", .notDirectory), ("nul\0byte", .system(EINVAL)),
    ]

    @Test(arguments: refused.indices)
    func refuses(_ index: Int) throws {
        let (root, folder) = try traps()
        let (name, reason) = FolderTests.refused[index]
        let error = #expect(throws: FileError.self) { try folder.read(name) }
        #expect(error?.reason == reason)
        _ = root
    }

    @Test func opensWhatIsBelow() throws {
        let (root, folder) = try traps()
        #expect(try folder.read("w.bin").withUnsafeBytes { Array($0) } == [1, 2, 3])
        #expect(try folder.read("./sub/deep.bin").withUnsafeBytes { Array($0) } == [4])
        _ = root
    }

    /// A character that combines with a slash hides it from Swift, not from the system. Here the kernel does not help.
    @Test(arguments: ["../\u{301}secret", "sub/../\u{301}secret", "sub/\u{301}/../x"])
    func slashesAreBytes(_ name: String) {
        #expect(throws: FileError(name, .outsideFolder)) { try Folder.checkComponents(of: name) }
    }

    @Test func theFallbackRefusesTheSame() throws {
        let (root, folder) = try traps()
        for (name, reason) in FolderTests.refused where [.symbolicLink, .missing, .notDirectory].contains(reason) {
            #expect(throws: FileError(folder.joined(name), reason)) { _ = try folder.walk(name) }
        }
        _ = try folder.walk("sub/deep.bin")
        _ = root
    }

    @Test func anExplicitPolicyLiftsTheRules() throws {
        let (root, folder) = try traps()
        for name in ["../secret", "link", "hard", root.file("secret")] {
            #expect(try folder.read(name, policy: .anywhere).withUnsafeBytes { Array($0) } == [9])
        }
        #expect(throws: FileError.self) { try folder.read("fifo", policy: .anywhere) }
    }

    @Test func aLimitIsKept() throws {
        let (root, folder) = try traps()
        #expect(throws: FileError(root.file("models/w.bin"), .tooLarge(byteCount: 3, limit: 2))) {
            try folder.read("w.bin", limit: 2)
        }
    }

    @Test func pathParts() {
        #expect(Folder.containing("a/b/c.onnx") == "a/b")
        #expect(Folder.containing("c.onnx") == ".")
        #expect(Folder.containing("/c.onnx") == "/")
        #expect(Folder.lastComponent("a/b/c.onnx") == "c.onnx")
    }
}
