import Files

/// Why a picture could not be read, shaped or written; always names the file.
public struct PictureError: Error, Sendable, Equatable {
    /// What is wrong with the picture.
    public enum Reason: Sendable, Equatable {
        /// The file cannot be read or written.
        case file(FileError.Reason)
        case empty
        /// No format of pictures by its first bytes; says what it looks like.
        case unknownFormat(String)
        /// A picture of a kind that is not read, such as one of CIELab colours.
        case unsupported(String)
        /// Beyond one of the `DecodeLimits`.
        case tooLarge(String)
        case truncated(String)
        case corrupt(String)
        case outOfMemory
        /// The picture's size does not fit what was asked for.
        case wrongSize(String)
    }

    /// The file, or another name for where the bytes came from.
    public let path: String
    public let reason: Reason

    public init(path: String, reason: Reason) {
        self.path = path
        self.reason = reason
    }

    init(_ error: FileError) { self.init(path: error.path, reason: .file(error.reason)) }
}

extension PictureError: CustomStringConvertible {
    public var description: String { "'\(path.shown)': \(reason)" }
}

extension PictureError.Reason: CustomStringConvertible {
    public var description: String {
        switch self {
        case .file(let reason): reason.description
        case .empty: "the file is empty"
        case .unknownFormat(let kind): "\(kind), not a picture"
        case .unsupported(let what): "unsupported picture: \(what)"
        case .tooLarge(let what): "picture refused: \(what)"
        case .truncated(let what): "truncated picture: \(what)"
        case .corrupt(let what): "corrupt picture: \(what)"
        case .outOfMemory: "not enough memory to decode the picture within the limits"
        case .wrongSize(let what): what
        }
    }
}
