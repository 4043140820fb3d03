import Foundation
import Glibc
import Testing

@testable import Files

@Suite struct FolderLockTests {
    @Test func oneAtATime() throws {
        let folder = try TemporaryFolder()
        do {
            let lock = try FolderLock(path: folder.path)
            #expect(throws: FileError(folder.path, .inUse)) { try FolderLock(path: folder.path) }
            withExtendedLifetime(lock) {}
        }
        _ = try FolderLock(path: folder.path)
    }

    /// A descriptor closed twice closes somebody else's file in between.
    @Test func aRefusedLockClosesOnlyItsOwnDescriptor() throws {
        let folder = try TemporaryFolder()
        let path = folder.path
        let lock = try FolderLock(path: path)
        nonisolated(unsafe) var lost = 0
        DispatchQueue.concurrentPerform(iterations: 2) { worker in
            for _ in 0..<200_000 {
                if worker == 0 {
                    _ = try? FolderLock(path: path)
                } else {
                    let number = open("/dev/null", O_RDONLY | O_CLOEXEC)
                    var status = stat()
                    if fstat(number, &status) != 0 || close(number) != 0 { lost += 1 }
                }
            }
        }
        #expect(lost == 0)
        withExtendedLifetime(lock) {}
    }
}
