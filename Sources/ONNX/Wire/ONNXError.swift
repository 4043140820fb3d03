import Files
import GraphIR

/// A model that cannot be read, understood or written, and why; the text is `FILE: REASON`.
public struct ONNXError: Error, CustomStringConvertible, Equatable {
    /// What a file is refused for.
    public enum Kind: Sendable, CaseIterable {
        // The file itself.
        case missing, directory, unreadable, empty, tooLarge
        // What is in it instead of a model.
        case gitLFSPointer, text, otherFormat, notONNX
        // A model that is damaged or made to do damage.
        case truncated, malformed, tooDeep, overBudget
        // A model whose parts do not fit together.
        case invalidModel, invalidTensor, externalData
        // A sound model that asks for something this project does not do.
        case unsupported
        // A model that cannot be written.
        case export
    }

    public let file: String
    public let kind: Kind
    public let reason: String

    public init(_ file: String, _ kind: Kind, _ reason: String) {
        self.file = file
        self.kind = kind
        self.reason = reason
    }

    /// A model file that could not be opened.
    init(_ error: FileError) {
        self.file = error.path
        self.reason = error.reason.description
        switch error.reason {
        case .missing, .emptyPath: kind = .missing
        case .isDirectory: kind = .directory
        case .tooLarge: kind = .tooLarge
        default: kind = .unreadable
        }
    }

    /// What `body` returns; a `GraphError` in it is thrown as one of the model in `file`.
    public static func naming<T>(_ file: String, _ body: () throws -> T) throws -> T {
        do {
            return try body()
        } catch let error as GraphError {
            throw ONNXError(file, .invalidModel, "\(error)")
        }
    }

    public var description: String { file.isEmpty ? reason : "\(file): \(reason)" }
}
