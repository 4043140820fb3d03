/// A way to say which parameters: what `--unfreeze` and `unfreeze(matching:)` take.
///
/// | pattern | matches |
/// |---|---|
/// | `layer4.1.conv2` | the parameter or scope of that name, and everything below it |
/// | `layer4.*.conv2` | `*` stands for any characters within one component |
/// | `**.bn2` | `**` stands for any number of components, none included |
/// | `head` | the layer that makes the logits, or those whose results add up to them |
/// | `last:N` | the last N layers with parameters |
/// | `all` | every parameter |
///
/// A pattern equal to a name matches it even where the name contains `*`.
public struct ParameterPattern: Sendable, Hashable {
    enum Kind: Sendable, Hashable {
        case all
        case head
        case last(Int)
        case path([String])
    }

    /// The pattern as written.
    public let text: String
    let kind: Kind

    /// Reads one pattern. Throws `ParameterPatternError.malformed` for an empty one, an empty component, or a bad count.
    public init(_ text: String) throws {
        self.text = text
        switch text {
        case "all": kind = .all
        case "head": kind = .head
        case _ where text.hasPrefix("last:"):
            guard let count = Int(text.dropFirst("last:".count)), count > 0 else {
                throw ParameterPatternError.malformed(
                    pattern: text, reason: "last:N takes a whole number from 1, as in last:2")
            }
            kind = .last(count)
        default:
            let components = text.split(separator: ".", omittingEmptySubsequences: false).map { String($0) }
            guard !text.isEmpty, !components.contains("") else {
                throw ParameterPatternError.malformed(
                    pattern: text, reason: "expected names separated by dots, as in layer4.1.conv2")
            }
            kind = .path(components)
        }
    }

    /// Reads patterns, each text holding one or several separated by commas. Throws for none at all.
    public static func parse(_ texts: [String]) throws -> [ParameterPattern] {
        let patterns = try texts.flatMap { text in
            try text.split(separator: ",", omittingEmptySubsequences: false).map { try ParameterPattern(trimmed($0)) }
        }
        guard !patterns.isEmpty else {
            throw ParameterPatternError.malformed(pattern: "", reason: "expected at least one pattern")
        }
        return patterns
    }

    /// The patterns that are words and not names, for a person who wrote `text`.
    static func words(like text: String) -> [String] {
        let count = text.split(separator: ":").dropFirst().first.flatMap { Int($0) }
        return ["head", "all"] + (count.map { ["last:\($0)"] } ?? [])
    }

    /// Whether a dotted name, or a scope that holds it, is meant; `head` and `last:N` match no name.
    public func matches(_ name: String) -> Bool {
        switch kind {
        case .all: return true
        case .head, .last: return false
        case .path(let pattern):
            return name == text
                || matchesPrefix(pattern[...], name.split(separator: ".", omittingEmptySubsequences: false)[...])
        }
    }

    /// Whether `pattern` matches leading components of `name`.
    private func matchesPrefix(_ pattern: ArraySlice<String>, _ name: ArraySlice<Substring>) -> Bool {
        guard let first = pattern.first else { return true }
        if first == "**" {
            return (name.startIndex...name.endIndex).contains { matchesPrefix(pattern.dropFirst(), name[$0...]) }
        }
        guard let component = name.first, glob(Array(first), matches: Array(component)) else { return false }
        return matchesPrefix(pattern.dropFirst(), name.dropFirst())
    }

    /// Whether `text` is `glob` with every `*` replaced by some characters.
    private func glob(_ glob: [Character], matches text: [Character]) -> Bool {
        // The usual two pointers: on a mismatch the last star takes one more character.
        var (g, t) = (0, 0)
        var retry: (glob: Int, text: Int)?
        while t < text.count {
            if g < glob.count, glob[g] == "*" {
                retry = (g, t)
                g += 1
            } else if g < glob.count, glob[g] == text[t] {
                g += 1
                t += 1
            } else if let (star, taken) = retry {
                retry = (star, taken + 1)
                g = star + 1
                t = taken + 1
            } else {
                return false
            }
        }
        return glob[g...].allSatisfy { $0 == "*" }
    }
}

/// A pattern that selects nothing.
public enum ParameterPatternError: Error, Equatable {
    /// Not a pattern.
    case malformed(pattern: String, reason: String)
    /// No parameter or scope has such a name. `closest` are the names most like it, `scopes` the model's outermost ones.
    case noMatch(pattern: String, closest: [String], scopes: [String])
    /// A model without parameters.
    case noParameters
    /// The parameters are there and cannot be selected.
    case beside(pattern: String, reason: String)
    /// `head` or `last:N` of a model with fewer layers.
    case tooFewLayers(pattern: String, layers: Int)
}

extension ParameterPatternError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .malformed(let pattern, let reason):
            return "'\(pattern)' is not a pattern of parameters: \(reason)"
        case .noMatch(let pattern, let closest, let scopes):
            let hint =
                closest.isEmpty
                ? "the outermost scopes are \(scopes.joined(separator: ", "))."
                : "did you mean \(closest.map { "'\($0)'" }.joined(separator: " or "))?"
            return "no parameter matches '\(pattern)': \(hint) `finetune inspect MODEL` lists every name"
        case .noParameters: return "the model has no parameters: there is nothing to train"
        case .beside(let pattern, let reason): return "'\(pattern)' \(reason)"
        case .tooFewLayers(let pattern, let layers):
            return "'\(pattern)' needs more layers with parameters than the model has: \(layers)"
        }
    }
}

private func trimmed(_ text: Substring) -> String {
    var text = text
    while text.first?.isWhitespace == true { text.removeFirst() }
    while text.last?.isWhitespace == true { text.removeLast() }
    return String(text)
}
