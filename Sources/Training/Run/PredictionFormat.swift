import Files
import Foundation

/// How predictions are written.
public enum PredictionFormat: String, CaseIterable, Sendable {
    /// `ant.jpg: ants 0.9876, bees 0.0124`.
    case text
    /// A header and a row for each picture, fields quoted where they must be (RFC 4180).
    case csv
    /// A JSON object for each picture.
    case jsonl

    /// A line for each of `predictions`, before them the header of a CSV file.
    ///
    /// - `top`: guesses per picture, which decides the columns of CSV.
    public func lines(_ predictions: [Predictor.Prediction], top: Int) throws -> [String] {
        try (header(top: top).map { [$0] } ?? []) + predictions.map(line)
    }

    /// What comes before the first prediction, if anything does.
    public func header(top: Int) -> String? {
        guard self == .csv else { return nil }
        let more = top > 1 ? (2...top).flatMap { ["class_\($0)", "probability_\($0)"] } : []
        return (["file", "class", "probability"] + more).joined(separator: ",")
    }

    /// The line of one prediction.
    public func line(_ prediction: Predictor.Prediction) throws -> String {
        switch self {
        case .text:
            let guesses = prediction.top.map { $0.name.shown + String(format: " %.4f", $0.probability) }
            return "\(prediction.file.shown): \(guesses.joined(separator: ", "))"
        case .csv:
            return DelimitedRow.csv([prediction.file] + prediction.top.flatMap { [$0.name, "\($0.probability)"] })
        case .jsonl:
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
            encoder.nonConformingFloatEncodingStrategy = .asText
            return String(decoding: try encoder.encode(prediction), as: UTF8.self).jsonShown
        }
    }
}

extension JSONEncoder.NonConformingFloatEncodingStrategy {
    /// `"nan"`, `"inf"` and `"-inf"`, for JSON has no such numbers.
    public static let asText: Self = .convertToString(positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
}

/// A row of comma-separated text.
enum DelimitedRow {
    /// Fields are quoted where they must be (RFC 4180).
    static func csv(_ fields: [String]) -> String {
        fields.map { text in
            let isPlain = !text.utf8.contains { $0 == 0x22 || $0 == 0x2C || $0 == 0x0A || $0 == 0x0D || $0 == 0x09 }
            return isPlain ? text : "\"" + text.replacingOccurrences(of: "\"", with: "\"\"") + "\""
        }
        .joined(separator: ",")
    }
}
