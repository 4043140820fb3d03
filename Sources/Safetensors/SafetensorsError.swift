/// A safetensors file that cannot be read or written, and why; the text is `PATH: REASON`.
public struct SafetensorsError: Error, CustomStringConvertible, Equatable {
    /// What is wrong with the file.
    public enum Reason: Equatable, Sendable {
        /// Fewer than eight bytes, or a header longer than the file.
        case truncated(String)
        case headerTooLarge(byteCount: UInt64, limit: Int)
        /// The header is not the JSON object the format asks for.
        case badHeader(String)
        case badTensor(name: String, String)
        case noSuchTensor(name: String, closest: [String])
    }

    public let path: String
    public let reason: Reason

    init(_ path: String, _ reason: Reason) {
        self.path = path
        self.reason = reason
    }

    public var description: String {
        switch reason {
        case .truncated(let what): "\(path): truncated safetensors file: \(what)"
        case .headerTooLarge(let byteCount, let limit):
            "\(path): not a safetensors file: header of \(byteCount) bytes, the limit is \(limit)"
        case .badHeader(let what): "\(path): not a safetensors file: \(what)"
        case .badTensor(let name, let what): "\(path): tensor '\(name)': \(what)"
        case .noSuchTensor(let name, let closest):
            "\(path): no tensor '\(name)'"
                + (closest.isEmpty ? "" : "; the file has " + closest.map { "'\($0)'" }.joined(separator: ", "))
        }
    }
}
