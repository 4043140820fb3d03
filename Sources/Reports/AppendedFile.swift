import Files
import Foundation

/// Adding to the end of a file that exists.
public enum AppendedFile {
    /// Throws `FileError` naming `path`.
    public static func append(_ bytes: [UInt8], to path: String) throws(FileError) {
        guard let handle = FileHandle(forWritingAtPath: path) else {
            throw FileError(path, FileManager.default.fileExists(atPath: path) ? .notPermitted : .missing)
        }
        defer { try? handle.close() }
        do {
            try handle.seekToEnd()
            try handle.write(contentsOf: Data(bytes))
        } catch {
            let cause = (error as NSError).userInfo[NSUnderlyingErrorKey] as? NSError
            let code = Int32(clamping: cause?.code ?? (error as NSError).code)
            throw FileError(path, code == ENOSPC ? .diskFull : .system(code))
        }
    }
}
