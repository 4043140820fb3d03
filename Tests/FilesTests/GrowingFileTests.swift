import Foundation
import TensorCore
import Testing

@testable import Files

@Suite struct GrowingFileTests {
    @Test func whatStandsBehindTheOffsetGoes() throws {
        let folder = try TemporaryFolder()
        let path = folder.file("log")
        func content() -> String? {
            FileManager.default.contents(atPath: path).map { String(decoding: $0, as: UTF8.self) }
        }
        try GrowingFile.write(Array("one\n".utf8), to: path, at: 0)
        try GrowingFile.write(Array("two\nhal".utf8), to: path, at: 4)
        #expect(content() == "one\ntwo\nhal")
        try GrowingFile.write(Array("3\n".utf8), to: path, at: 8)
        #expect(content() == "one\ntwo\n3\n")
        try GrowingFile.write([], to: path, at: 4)
        #expect(content() == "one\n")
        #expect(throws: FileError(path, .changed)) { try GrowingFile.write([1], to: path, at: 5) }
        #expect(throws: FileError(folder.path, .isDirectory)) { try GrowingFile.write([1], to: folder.path, at: 0) }
    }

    @Test func blankArraysAreZerosWithoutMemory() throws {
        let before = StorageStatistics.liveBytes
        let array = try NDArray(blank: [1 << 20, 1 << 10], dtype: .float32)
        #expect(array.shape == [1 << 20, 1 << 10] && StorageStatistics.liveBytes == before)
        #expect(array.rows(12345..<12346).elements(as: Float.self).allSatisfy { $0 == 0 })
        #expect(try NDArray(blank: [0, 3], dtype: .float32).count == 0)
    }
}
