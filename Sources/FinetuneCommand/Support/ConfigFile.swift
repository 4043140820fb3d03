import FineTune
import Foundation
import Yams

/// `--config FILE`: options of `train` from a YAML or JSON file, under the names that they have on the command line.
///
/// ```yaml
/// model: models/resnet-tiny.onnx
/// unfreeze: [fc, layer3]
/// lr: {fc: 0.01, layer3: 0.001}
/// keep-head: true
/// ```
/// A run's `run.json` is such a file: its `settings` are taken, with the paths of model and data as they were for the run.
/// What the command line says wins.
struct ConfigFile {
    let path: String
    /// The command's words with the file's options, after the subcommand.
    let words: [String]
    /// Names of the options that come from the file, without dashes.
    private let names: Set<String>

    /// Reads the file that `words` name; nil if they name none.
    init?(namedIn words: [String]) throws {
        let paths = ConfigFile.values(of: "--config", in: words)
        guard let path = paths.first else { return nil }
        guard paths.count == 1 else { throw SettingError("--config", "given \(paths.count) times; expected one file") }
        let added = try ConfigFile.arguments(path, without: ConfigFile.options(in: words))
        let position = words.first?.hasPrefix("-") == false ? 1 : 0
        self.path = path
        self.words = Array(words[..<position]) + added + Array(words[position...])
        names = ConfigFile.options(in: added)
    }

    /// An error's text, with the file before it when it is about an option that came from there.
    func located(_ text: String) -> String {
        let isOurs = names.contains { name in
            text.hasPrefix("--\(name): ") || text.contains("'--\(name)'") || text.contains("'--\(name) ")
        }
        return isOurs ? "\(path): \(text)" : text
    }

    /// Names of the long options among `words`, without dashes.
    static func options(in words: [String]) -> Set<String> {
        Set(words.filter { $0.hasPrefix("--") }.map { String($0.dropFirst(2).prefix { $0 != "=" }) })
    }

    private static func values(of option: String, in words: [String]) -> [String] {
        words.indices.compactMap { index in
            if words[index] == option { return index + 1 < words.count ? words[index + 1] : nil }
            return words[index].hasPrefix("\(option)=") ? String(words[index].dropFirst(option.count + 1)) : nil
        }
    }

    // MARK: - Reading

    private static let flags: Set = ["keep-head", "skip-bad-pictures", "dry-run", "json", "quiet", "verbose"]
    /// Options of which each value is a word of its own.
    private static let repeatable: Set = ["unfreeze", "unfreeze-at"]
    private static let commandLineOnly: Set = ["config", "resume", "help", "version"]
    /// Options that a file may give.
    static let known =
        RunSettings.CodingKeys.allCases.map(\.rawValue)
        + ["output", "checkpoint-every", "dry-run", "json", "quiet", "verbose"]

    private static func arguments(_ path: String, without given: Set<String>) throws -> [String] {
        func problem(_ reason: String) -> SettingError { SettingError("--config", "\(path): \(reason)") }
        let bytes: FileBytes
        do { bytes = try FileBytes(path: path, limit: 1 << 20, access: .copied) } catch {
            throw SettingError("--config", "\(error)")
        }
        let text = bytes.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
        let root: Yams.Node?
        do {
            root = try Yams.compose(yaml: text)
        } catch {
            throw problem(reason(error))
        }
        guard case .mapping(let whole)? = root else { throw problem("expected lines such as 'epochs: 10'") }
        // `run.json` tells more than its settings.
        var (settings, directory) = (whole, String?.none)
        if whole["format"]?.string == RunRecord.format, case .mapping(let inner)? = whole["settings"] {
            (settings, directory) = (inner, whole["directory"]?.string)
        }
        return try settings.flatMap { key, value -> [String] in
            let name = key.string ?? ""
            if commandLineOnly.contains(name) { throw problem("'\(name)' can be given on the command line only") }
            guard known.contains(name) else {
                throw problem("'\(name)' is not an option of train\(suggestion(for: name, among: known))")
            }
            if given.contains(name) { return [] }
            if let directory, ["model", "data"].contains(name), let text = value.string {
                return ["--\(name)=\(RunRecord.located(text, from: directory))"]
            }
            guard let words = spelled(name, value) else {
                throw problem(
                    flags.contains(name)
                        ? "'\(name)' is a flag; expected true or false" : "'\(name)' needs a value or a list of values")
            }
            return words
        }
    }

    /// The words that say `value` for the option `name`; nil for what it does not take.
    private static func spelled(_ name: String, _ value: Yams.Node) -> [String]? {
        // With '=' a value may begin with a dash.
        func word(_ text: String) -> String { "--\(name)=\(text)" }
        switch value {
        case .scalar(let scalar) where ["", "null", "~"].contains(scalar.string): return []
        case .scalar where flags.contains(name): return value.bool.map { $0 ? ["--\(name)"] : [] }
        case .scalar(let scalar): return [word(scalar.string)]
        case _ where flags.contains(name): return nil
        case .sequence(let values):
            let texts = values.compactMap(\.string)
            guard texts.count == values.count else { return nil }
            return repeatable.contains(name) ? texts.map(word) : [word(texts.joined(separator: ","))]
        case .mapping(let pairs):
            let texts = pairs.compactMap { key, value in
                key.string.flatMap { key in value.string.map { "\(key)\(name == "unfreeze-at" ? ":" : "=")\($0)" } }
            }
            guard texts.count == pairs.count else { return nil }
            return repeatable.contains(name) ? texts.map(word) : [word(texts.joined(separator: ","))]
        case .alias: return nil
        }
    }

    /// What is wrong with the text, without the picture of the place that the parser draws.
    private static func reason(_ error: any Error) -> String {
        switch error as? YamlError {
        case .scanner(_, let problem, let mark, _)?, .parser(_, let problem, let mark, _)?,
            .composer(_, let problem, let mark, _)?:
            "line \(mark.line), column \(mark.column): \(problem)"
        default: "\(error)".split(separator: "\n").joined(separator: " ")
        }
    }
}
