import Files
import Synchronization

/// The files a model's tensor elements are in: the model itself and what its external data names.
///
/// External files are opened when a tensor first needs them, under the path rules of the limits, and stay open: every
/// tensor of the model sees the same file.
final class ElementSource: Sendable {
    let model: FileBytes
    private let limits: LoadLimits
    private let access: FileBytes.Access
    private let folder: Result<Folder, FileError>
    private let opened = Mutex<[String: FileBytes]>([:])

    /// `replacements` are used instead of the files at those locations.
    init(
        model: FileBytes, limits: LoadLimits, access: FileBytes.Access, replacements: [String: FileBytes] = [:]
    ) {
        self.model = model
        opened.withLock { $0 = replacements }
        self.limits = limits
        self.access = access
        // Held from the start, so that moving folders about cannot redirect a later look-up.
        do throws(FileError) {
            folder = .success(try Folder(path: Folder.containing(model.path)))
        } catch {
            folder = .failure(error)
        }
    }

    /// The file at `location`, relative to the model's folder.
    func external(_ location: String) throws(FileError) -> FileBytes {
        if let bytes = opened.withLock({ $0[location] }) { return bytes }
        let bytes = try folder.get().read(location, policy: limits.externalData, access: access)
        return opened.withLock { files in
            // Two threads may have opened it at once; the first wins.
            if let first = files[location] { return first }
            files[location] = bytes
            return bytes
        }
    }
}

/// The part of another file that holds a tensor's elements.
struct ExternalLocation: Equatable {
    var location: String
    var offset: Int
    /// Nil when the file does not say: as many bytes as the shape needs.
    var length: Int?

    /// Reads the entries; other keys, such as `checksum`, are ignored. Returns what is wrong otherwise.
    static func parse(_ entries: [StringStringEntryProto]) -> Result<ExternalLocation, Problem> {
        var result = ExternalLocation(location: "", offset: 0, length: nil)
        var seen: Set<String> = []
        for entry in entries {
            guard seen.insert(entry.key).inserted else { return .failure(Problem("'\(entry.key)' is given twice")) }
            switch entry.key {
            case "location": result.location = entry.value
            case "offset", "length":
                guard let number = number(entry.value) else {
                    return .failure(Problem("\(entry.key) '\(entry.value)' is no byte count"))
                }
                if entry.key == "offset" { result.offset = number } else { result.length = number }
            default: break
            }
        }
        guard !result.location.isEmpty else { return .failure(Problem("no location is given")) }
        return .success(result)
    }

    struct Problem: Error, Equatable {
        let reason: String
        init(_ reason: String) { self.reason = reason }
    }

    /// Decimal digits only: no sign, no blanks.
    private static func number(_ text: String) -> Int? {
        guard !text.isEmpty, text.utf8.allSatisfy({ $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }) else {
            return nil
        }
        return Int(text)
    }
}
