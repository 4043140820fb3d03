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
/// A run's `run.json` is such a file: its `settings` are taken. What the command line says wins.
enum ConfigFile {
    /// `words` with the options of the file that they name, after the subcommand; the words themselves if they name none.
    static func expand(_ words: [String]) throws -> [String] {
        let given = options(in: words)
        guard let path = value(of: "--config", in: words) else { return words }
        let position = words.first?.hasPrefix("-") == false ? 1 : 0
        let added = try arguments(path, without: given)
        return Array(words[..<position]) + added + Array(words[position...])
    }

    /// Names of the long options among `words`, without dashes.
    static func options(in words: [String]) -> Set<String> {
        Set(words.filter { $0.hasPrefix("--") }.map { String($0.dropFirst(2).prefix { $0 != "=" }) })
    }

    private static func value(of option: String, in words: [String]) -> String? {
        if let position = words.firstIndex(of: option), position + 1 < words.count { return words[position + 1] }
        return words.first { $0.hasPrefix("\(option)=") }.map { String($0.dropFirst(option.count + 1)) }
    }

    private static let known =
        RunSettings.CodingKeys.allCases.map(\.rawValue) + ["output", "checkpoint-every", "json", "quiet", "verbose"]

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
            throw problem("\("\(error)".prefix { $0 != "\n" })")
        }
        guard case .mapping(let whole)? = root else { throw problem("expected lines such as 'epochs: 10'") }
        // `run.json` tells more than its settings.
        var settings = whole
        if whole["format"]?.string == RunRecord.format, case .mapping(let inner)? = whole["settings"] {
            settings = inner
        }
        return try settings.flatMap { key, value -> [String] in
            guard let name = key.string, known.contains(name) else {
                let text = key.string ?? ""
                throw problem("'\(text)' is not an option of train\(suggestion(for: text, among: known))")
            }
            if given.contains(name) { return [] }
            guard let words = words(name, value) else {
                throw problem("'\(name)' needs a value, a list of values, or true or false for a flag")
            }
            return words
        }
    }

    /// The words that say `value` for the option `name`; nil for what no option takes.
    private static func words(_ name: String, _ value: Yams.Node) -> [String]? {
        switch value {
        case .scalar(let scalar):
            switch scalar.string {
            case "true": return ["--\(name)"]
            case "false", "", "null", "~": return []
            // With '=' a value may begin with a dash.
            default: return ["--\(name)=\(scalar.string)"]
            }
        case .sequence(let values):
            let texts = values.compactMap(\.string)
            return texts.count == values.count ? texts.map { "--\(name)=\($0)" } : nil
        case .mapping(let pairs):
            let texts = pairs.compactMap { key, value in
                key.string.flatMap { key in value.string.map { "\(key)=\($0)" } }
            }
            return texts.count == pairs.count ? ["--\(name)=\(texts.joined(separator: ","))"] : nil
        case .alias: return nil
        }
    }
}
