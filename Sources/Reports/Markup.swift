import Files

/// HTML or SVG text. What is interpolated is escaped unless it is markup itself.
///
/// ```swift
/// let row: Markup = "<td>\(name)</td>"      // name may hold <, & and quotes
/// ```
public struct Markup: ExpressibleByStringInterpolation, Sendable {
    public private(set) var text: String

    public init(stringLiteral value: String) { text = value }
    public init(stringInterpolation: Interpolation) { text = stringInterpolation.text }

    /// Text that is markup already, such as a style sheet.
    public init(raw text: String) { self.text = text }

    public static func + (a: Markup, b: Markup) -> Markup { Markup(raw: a.text + b.text) }
    public static func += (a: inout Markup, b: Markup) { a.text += b.text }

    /// Escapes texts, and takes markup as it is.
    public struct Interpolation: StringInterpolationProtocol {
        var text = ""

        public init(literalCapacity: Int, interpolationCount: Int) { text.reserveCapacity(literalCapacity * 2) }

        public mutating func appendLiteral(_ literal: String) { text += literal }

        /// Escapes. Characters that would act on the text around them are spelt out, as on a terminal; those that XML forbids
        /// besides become U+FFFD.
        public mutating func appendInterpolation(_ value: some StringProtocol) {
            for scalar in value.unicodeScalars {
                switch scalar {
                case "&": text += "&amp;"
                case "<": text += "&lt;"
                case ">": text += "&gt;"
                case "\"": text += "&quot;"
                case "\t", "\n", "\r": text.unicodeScalars.append(scalar)
                case "\u{FFFE}", "\u{FFFF}": text += "\u{FFFD}"
                case _ where scalar.isMisleading: text += scalar.spelling
                default: text.unicodeScalars.append(scalar)
                }
            }
        }

        public mutating func appendInterpolation(_ value: Int) { text += String(value) }
        public mutating func appendInterpolation(_ value: Markup) { text += value.text }
        public mutating func appendInterpolation(_ values: [Markup]) { for value in values { text += value.text } }
        public mutating func appendInterpolation(_ value: Markup?) { if let value { text += value.text } }
    }
}
